//! The recovery key: 256 bits as 24 words (BIP-39, English), to print and to type back.
//!
//! The words stand for the bits directly; BIP-39's own stretching is not used, 256 random bits need none.

use super::Error;
use crate::crypto::secret::{Secret, SecretBytes};
use crate::repo::id::RepositoryId;
use bip39::{Language, Mnemonic};
use zeroize::{Zeroize, Zeroizing};

/// Words of a recovery key.
pub const WORDS: usize = 24;

/// Words on one line of a recovery file.
const PER_LINE: usize = 6;

/// The words of a recovery key, separated by single spaces.
pub fn words(key: &Secret) -> Zeroizing<String> {
    let mnemonic = mnemonic(key);
    let mut text = Zeroizing::new(String::with_capacity(WORDS * 9));
    for (at, word) in mnemonic.words().enumerate() {
        if at > 0 {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// What a recovery file holds: comment lines that say what it is and for which repository, then the words.
pub fn file_text(repository: &RepositoryId, key: &Secret) -> SecretBytes {
    let head = format!(
        "# boveda recovery key\n\
         # repository {repository}\n\
         # These {WORDS} words open the repository with all rights. Print them, keep them away from this machine,\n\
         # then delete this file. To use them, name a file that holds them in BOVEDA_KEY_FILE.\n"
    );
    let mut text = Vec::with_capacity(head.len() + WORDS * 9);
    text.extend_from_slice(head.as_bytes());
    for (at, word) in mnemonic(key).words().enumerate() {
        text.extend_from_slice(word.as_bytes());
        text.push(if (at + 1) % PER_LINE == 0 { b'\n' } else { b' ' });
    }
    SecretBytes::new(text)
}

/// Reads a recovery key: words in any case, separated by any white space; lines that start with `#` are skipped.
///
/// # Errors
/// [`Error::RecoveryWordCount`], [`Error::RecoveryWord`] with the first word that is in no recovery key, or
/// [`Error::RecoveryChecksum`].
pub fn parse(text: &str) -> Result<Secret, Error> {
    let words: Vec<Zeroizing<String>> = words_in(text).map(|word| Zeroizing::new(word.to_lowercase())).collect();
    // First of all: what is no recovery key at all may be another secret, such as a password file, and is shown to nobody.
    if words.len() != WORDS {
        return Err(Error::RecoveryWordCount(words.len()));
    }
    for (at, word) in words.iter().enumerate() {
        if Language::English.find_word(word).is_none() {
            return Err(Error::RecoveryWord { position: at + 1, word: word.to_string(), suggestion: suggestion(word) });
        }
    }
    let mut line = Zeroizing::new(String::with_capacity(WORDS * 9));
    for word in &words {
        line.push_str(word);
        line.push(' ');
    }
    let mnemonic =
        Mnemonic::parse_in_normalized(Language::English, line.trim_end()).map_err(|_| Error::RecoveryChecksum)?;
    let (mut entropy, _) = mnemonic.to_entropy_array();
    let key = Secret::new(*entropy.first_chunk().expect("24 words stand for 32 bytes"));
    entropy.zeroize();
    Ok(key)
}

/// Whether a recovery file was made for this repository.
pub fn names_repository(text: &str, repository: &RepositoryId) -> bool {
    text.lines()
        .any(|line| line.strip_prefix("# repository ").is_some_and(|id| id.trim_end() == repository.to_string()))
}

/// Whether a text is meant as words: more than one, letters only.
pub(super) fn looks_like_words(text: &str) -> bool {
    words_in(text).nth(1).is_some() && words_in(text).all(|word| word.bytes().all(|b| b.is_ascii_alphabetic()))
}

fn words_in(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(str::split_whitespace)
}

/// The word that was probably meant: four letters tell all words of the list apart.
fn suggestion(word: &str) -> Option<&'static str> {
    let starts = [4, 3].into_iter().filter_map(|length| word.get(..length));
    starts.filter_map(|start| Language::English.words_by_prefix_iter(start).next()).next()
}

fn mnemonic(key: &Secret) -> Mnemonic {
    Mnemonic::from_entropy(key.expose()).expect("32 bytes are a valid length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_words_are_those_of_bip_39() {
        for (byte, repeated, last) in [
            (0, "abandon ", "art"),
            (0x7f, "legal winner thank year wave sausage worth useful ", "title"),
            (0x80, "letter advice cage absurd amount doctor acoustic avoid ", "bless"),
            (0xff, "zoo ", "vote"),
        ] {
            let key = Secret::new([byte; 32]);
            let text = words(&key);
            let expected: String = repeated.repeat(WORDS);
            let expected: Vec<&str> = expected.split(' ').take(WORDS - 1).chain([last]).collect();
            assert_eq!(*text, expected.join(" "));
            assert_eq!(parse(&text).unwrap(), key);
        }
    }

    #[test]
    fn typing_is_forgiven_where_nothing_is_lost() {
        let key = Secret::generate();
        let text = words(&key);
        assert_eq!(parse(&text.to_uppercase()).unwrap(), key);
        assert_eq!(parse(&format!("\r\n\t {}  \n\n", text.replace(' ', " \r\n "))).unwrap(), key);
        assert_eq!(parse(&format!("  # a note\n{}\n#", *text)).unwrap(), key);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = words(&Secret::new([0x7f; 32]));
        let error = |text: &str| parse(text).unwrap_err().to_string();
        let mistyped = error(&good.replacen("wave", "wavve", 1));
        assert!(mistyped.contains("word 5") && mistyped.contains("\"wavve\""), "{mistyped}");
        assert!(error(&good.replacen("thank", "thanks", 1)).contains("did you mean \"thank\"?"));
        assert!(error(&good.replacen("thank ", "", 1)).contains("not 23"));
        assert!(error("").contains("not 0"));
        assert!(!error("correct horse battery staple").contains("battery"), "a password that was taken for a key");
        assert!(matches!(parse(&good.replacen("thank year", "year thank", 1)), Err(Error::RecoveryChecksum)));
        assert!(matches!(parse(&good.replacen("thank", "zoo", 1)), Err(Error::RecoveryChecksum)));
        // Multi-byte characters where a word is cut for a suggestion.
        assert!(matches!(
            parse(&format!("aé漢字{}", " zoo".repeat(WORDS - 1))),
            Err(Error::RecoveryWord { position: 1, .. })
        ));
    }

    #[test]
    fn a_recovery_file_reads_back() {
        let key = Secret::generate();
        let file = file_text(&RepositoryId([0xab; 32]), &key);
        let text = std::str::from_utf8(file.expose()).unwrap();
        assert!(text.contains(&RepositoryId([0xab; 32]).to_string()) && text.ends_with('\n'));
        assert!(looks_like_words(text));
        assert_eq!(parse(text).unwrap(), key);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_key_has_words(bytes: [u8; 32]) {
            let key = Secret::new(bytes);
            prop_assert_eq!(parse(&words(&key)).unwrap(), key);
        }

        #[test]
        fn any_text_gives_a_key_or_an_error(text: String) {
            let _ = parse(&text);
        }
    }
}
