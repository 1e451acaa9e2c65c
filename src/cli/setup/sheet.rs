//! The recovery sheet: all that somebody needs who has nothing but this paper; as text, and as a page to print.
//!
//! The page is one file that loads nothing: no script, no font, no picture from elsewhere, so that a browser without a
//! network prints it and nobody else sees it. What comes from outside is escaped.

use zeroize::Zeroizing;

use super::qr;
use crate::crypto::secret::{Secret, SecretBytes};
use crate::repo::id::RepositoryId;
use crate::repo::keys::recovery;

/// What stands on a sheet beside the words.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The repository.
    pub repository: RepositoryId,
    /// Where it is.
    pub location: &'a str,
    /// The machine that made it.
    pub host: &'a str,
    /// When, for people.
    pub made: &'a str,
}

/// The sheet as text: a recovery file that `--key-file` takes as it is.
pub fn text(facts: &Facts<'_>, key: &Secret) -> SecretBytes {
    let line = |text: &str| text.replace(|c: char| c.is_control(), " ");
    let (location, host, made) = (line(facts.location), line(facts.host), line(facts.made));
    let head = format!(
        "# location   {location}\n# made on    {host}, {made}\n\
         # To get everything back: install boveda, write the words below into a file, then\n\
         #   boveda -r LOCATION --key-file FILE restore latest --target FOLDER\n"
    );
    let file = recovery::file_text(&facts.repository, key);
    let mut sheet = Vec::with_capacity(file.expose().len() + head.len());
    // After the comments of the recovery file, before its words.
    let words = file.expose().split_inclusive(|&byte| byte == b'\n').take_while(|line| line.starts_with(b"#"));
    let comments: usize = words.map(<[u8]>::len).sum();
    sheet.extend_from_slice(&file.expose()[..comments]);
    sheet.extend_from_slice(head.as_bytes());
    sheet.extend_from_slice(&file.expose()[comments..]);
    SecretBytes::new(sheet)
}

/// The sheet as a page to print, with QR codes of the words and of the repository's id.
pub fn page(facts: &Facts<'_>, key: &Secret) -> SecretBytes {
    let words = recovery::words(key);
    // Capital letters make a smaller code, and recovery keys are read in any case.
    let capitals = Zeroizing::new(words.to_uppercase());
    let id = facts.repository.to_string();
    let code = |text: &str, width, title| Zeroizing::new(qr::svg(text, width, title).unwrap_or_default());
    let (of_words, of_id) = (code(&capitals, "62mm", "the words"), code(&id.to_uppercase(), "38mm", "the id"));
    let list = word_list(key);
    let (location, host, made) = (html(facts.location), html(facts.host), html(facts.made));
    let parts: [&str; 17] = [
        HEAD,
        "<h1>boveda recovery sheet</h1><p>Whoever has this paper and the repository can read everything in it. Keep it \
         where a thief of the machine does not look, and a fire in its room does not reach.</p><table><tr><th>Repository\
         </th><td><code>",
        &location,
        "</code></td></tr><tr><th>Id</th><td><code>",
        &id,
        "</code></td></tr><tr><th>Made</th><td>",
        &made,
        " on ",
        &host,
        "</td></tr></table><h2>The 24 words, in this order</h2><ol>",
        &list,
        "</ol><div class=\"codes\"><figure>",
        &of_words,
        "<figcaption>the words</figcaption></figure><figure>",
        &of_id,
        "<figcaption>the repository's id</figcaption></figure></div>",
        TAIL,
    ];
    let mut page = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| page.extend_from_slice(part.as_bytes()));
    SecretBytes::new(page)
}

/// The words as items of a list, as the page has them.
pub fn word_list(key: &Secret) -> Zeroizing<String> {
    let words = recovery::words(key);
    let mut list = Zeroizing::new(String::with_capacity(words.len() + recovery::WORDS * 9));
    for word in words.split(' ') {
        list.push_str("<li>");
        list.push_str(word);
        list.push_str("</li>");
    }
    list
}

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>boveda recovery sheet</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
@page { size: A4; margin: 18mm }
body { font: 11pt/1.45 sans-serif; max-width: 174mm; margin: 8mm auto; color: #000; background: #fff }
h1 { font-size: 20pt; margin: 0 } h2 { font-size: 13pt; margin: 6mm 0 2mm }
table { border-collapse: collapse } th { text-align: left; padding-right: 6mm; vertical-align: top }
code { font: 9.5pt monospace; overflow-wrap: anywhere }
ol { columns: 4; font: bold 12pt/1.7 monospace; padding-left: 10mm; margin: 0 }
.codes { display: flex; gap: 12mm; align-items: flex-end; margin-top: 4mm } figure { margin: 0 } figcaption { text-align: center }
</style></head><body>
"#;

const TAIL: &str = "<h2>To get everything back</h2><p>Install boveda. Write the words into a file, or scan the larger code into \
one; then:</p><p><code>boveda -r LOCATION --key-file FILE restore latest --target FOLDER</code></p><p>Then delete the \
file. With <code>boveda key passwd</code> you give yourself a new password.</p></body></html>\n";

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::keys::credential::Credential;

    fn facts() -> Facts<'static> {
        Facts { repository: RepositoryId([0xab; 32]), location: "/srv/<b>\n", host: "web & db", made: "today" }
    }

    #[test]
    fn the_text_is_a_recovery_file() {
        let key = Secret::generate();
        let text = text(&facts(), &key);
        assert!(matches!(Credential::key(&text).unwrap(), Credential::Recovery(read) if read == key));
        let text = std::str::from_utf8(text.expose()).unwrap();
        assert!(text.contains("web & db, today") && text.contains("# location   /srv/<b> \n"), "{text}");
        assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 4, "{text}");
    }

    #[test]
    fn the_page_has_every_word_two_codes_and_loads_nothing() {
        let key = Secret::generate();
        let page = page(&facts(), &key);
        let page = std::str::from_utf8(page.expose()).unwrap();
        let listed = recovery::words(&key).split(' ').map(|word| format!("<li>{word}</li>")).collect::<String>();
        assert!(page.contains(&listed));
        assert_eq!(page.matches("<svg").count(), 2);
        assert!(page.contains(&"ab".repeat(32)) && page.contains("/srv/&lt;b&gt;") && page.contains("web &amp; db"));
        for loading in ["src=", "href=", "@import", "url(", "<script"] {
            assert!(!page.contains(loading), "{loading}");
        }
        let words: String = recovery::words(&key).to_uppercase();
        assert!(page.contains(&qr::svg(&words, "62mm", "the words").unwrap()));
        let read = Credential::key(&SecretBytes::new(words.into_bytes())).unwrap();
        assert!(matches!(read, Credential::Recovery(read) if read == key), "capital letters are read back");
    }
}
