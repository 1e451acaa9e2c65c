//! `[repository.NAME.access]`: how a repository that needs a network is reached. Secrets stand as names of variables.

use super::values::{Command, HomePath, Variable};
use crate::source::amount;
use crate::store::access::{Access, Hidden};
use crate::store::pace::Pace;
use crate::store::timetable::{DAY, Timetable};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

/// Bytes per second. A number alone counts KiB, as in restic; with a letter (`500K`, `2M`) it counts what the letter says. Or a timetable as
/// rclone has it: `08:00,500K 18:00,off`, each day or with days of the week, `Mon-08:00,500K Sat-00:00,off`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct LineRate(Timetable);

impl LineRate {
    /// The limits of one direction.
    pub fn pace(self) -> Arc<Pace> {
        Arc::new(Pace::new(self.0))
    }
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn rate(text: &str) -> Option<NonZeroU64> {
    let text = text.strip_suffix("/s").unwrap_or(text);
    let bytes = match text.parse::<u64>() {
        Ok(kibibytes) => kibibytes.checked_mul(1024),
        Err(_) => amount::parse(text),
    };
    bytes.and_then(NonZeroU64::new)
}

/// `08:00,500K`, every day, or `Mon-08:00,500K`.
fn changes(text: &str) -> Option<Vec<(u16, Option<NonZeroU64>)>> {
    let (when, limit) = text.split_once(',')?;
    let limit = if limit.eq_ignore_ascii_case("off") { None } else { Some(rate(limit)?) };
    let (days, clock) = match when.split_once('-') {
        Some((day, clock)) => {
            let day = DAYS.iter().position(|known| day.eq_ignore_ascii_case(known))?;
            (day..day + 1, clock)
        }
        None => (0..DAYS.len(), when),
    };
    let (hour, minute) = clock.split_once(':')?;
    let number = |text: &str, below: u16| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| digits && *number < below)
    };
    let minute = number(hour, 24)? * 60 + number(minute, 60)?;
    Some(days.map(|day| (day as u16 * DAY + minute, limit)).collect())
}

impl std::str::FromStr for LineRate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const KNOWN: &str = "it is a number of KiB per second above zero, such as 500K or 2M, or a timetable such as `08:00,500K 18:00,off`";
        let table = if text.contains(',') {
            let changes: Option<Vec<_>> = text.split_ascii_whitespace().map(changes).collect();
            changes.and_then(|changes| Timetable::new(changes.concat()))
        } else {
            rate(text).map(Timetable::always)
        };
        table.map(Self).ok_or(KNOWN)
    }
}

impl TryFrom<String> for LineRate {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<LineRate> for String {
    fn from(rate: LineRate) -> Self {
        rate.to_string()
    }
}

impl fmt::Display for LineRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(0, Some(rate))] = self.0.changes() {
            return write!(f, "{rate}b");
        }
        for (number, (minute, limit)) in self.0.changes().iter().enumerate() {
            let space = if number > 0 { " " } else { "" };
            let (day, hour, minute) = (DAYS[usize::from(minute / DAY)], minute % DAY / 60, minute % 60);
            write!(f, "{space}{day}-{hour:02}:{minute:02},")?;
            match limit {
                Some(rate) => write!(f, "{rate}b")?,
                None => f.write_str("off")?,
            }
        }
        Ok(())
    }
}

/// How a repository is reached.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reach {
    /// S3, Azure, Google: the address of the service.
    pub endpoint: Option<String>,
    /// S3: the region.
    pub region: Option<String>,
    /// S3: the profile of AWS's own configuration.
    pub profile: Option<String>,
    /// S3, Google: the class that objects are stored in.
    pub storage_class: Option<String>,
    /// S3: encryption by the server: `AES256` or `aws:kms`.
    pub sse: Option<String>,
    /// S3: the key of that.
    pub sse_kms_key_id: Option<String>,
    /// S3: the bucket's name as a part of the host's.
    pub virtual_host: Option<bool>,
    /// Requests without a signature.
    pub anonymous: Option<bool>,
    /// S3: whether the service can put only what is not there.
    pub conditional_put: Option<bool>,
    /// Azure: the storage account.
    pub account: Option<String>,
    /// S3, B2: the variable that holds the access key's id.
    pub access_key_id_env: Option<Variable>,
    /// S3, B2: the variable that holds the secret access key.
    pub secret_access_key_env: Option<Variable>,
    /// S3: the variable that holds the token of a temporary key.
    pub session_token_env: Option<Variable>,
    /// Azure: the variable that holds the account's key.
    pub account_key_env: Option<Variable>,
    /// Azure: the variable that holds a shared access signature.
    pub sas_token_env: Option<Variable>,
    /// Azure: the variable that holds a connection string.
    pub connection_string_env: Option<Variable>,
    /// Google: the file of a service account.
    pub credential_file: Option<HomePath>,
    /// WebDAV: who logs in.
    pub user: Option<String>,
    /// WebDAV: the variable that holds their password.
    pub password_env: Option<Variable>,
    /// SFTP: the command in place of `ssh`.
    pub ssh_command: Option<Command>,
    /// Certificates (PEM) that are trusted beside the system's.
    pub cacert: Option<HomePath>,
    /// A certificate and its key (PEM) that this client shows.
    pub tls_client_cert: Option<HomePath>,
    /// The limit of what is sent.
    pub limit_upload: Option<LineRate>,
    /// The limit of what is received.
    pub limit_download: Option<LineRate>,
}

impl Reach {
    /// What it says, for a user with this home and environment.
    ///
    /// # Errors
    /// When a path begins with `~/` and there is no home, or a variable that is named is not set.
    pub fn access(&self, home: Option<&Path>, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Access, String> {
        let secret = |name: &Option<Variable>| -> Result<Option<Hidden>, String> {
            let Some(name) = name else { return Ok(None) };
            let value = variable(name.as_str()).filter(|value| !value.is_empty());
            let value = value
                .ok_or_else(|| format!("the configuration names the variable {}, which is not set", name.as_str()))?;
            let text = value.into_string().map_err(|_| format!("{} is not UTF-8", name.as_str()))?;
            Ok(Some(Hidden::new(text)))
        };
        let path = |path: &Option<HomePath>| path.as_ref().map(|path| path.resolve(home)).transpose();
        let ssh = self.ssh_command.as_ref().map(|line| shlex::split(line.as_str()).unwrap_or_default());
        Ok(Access {
            options: self.options(),
            access_key_id: secret(&self.access_key_id_env)?,
            secret_access_key: secret(&self.secret_access_key_env)?,
            session_token: secret(&self.session_token_env)?,
            account_key: secret(&self.account_key_env)?,
            sas_token: secret(&self.sas_token_env)?,
            connection_string: secret(&self.connection_string_env)?,
            credential_file: path(&self.credential_file)?,
            user: self.user.clone(),
            password: secret(&self.password_env)?,
            ca_cert: path(&self.cacert)?,
            client_cert: path(&self.tls_client_cert)?,
            ssh: ssh.unwrap_or_default(),
            upload: self.limit_upload.clone().map(LineRate::pace),
            download: self.limit_download.clone().map(LineRate::pace),
            ..Access::default()
        })
    }

    fn options(&self) -> std::collections::BTreeMap<String, String> {
        let texts = [
            ("endpoint", &self.endpoint),
            ("region", &self.region),
            ("profile", &self.profile),
            ("storage_class", &self.storage_class),
            ("sse", &self.sse),
            ("sse_kms_key_id", &self.sse_kms_key_id),
            ("account", &self.account),
        ];
        let flags = [
            ("virtual_host", self.virtual_host),
            ("anonymous", self.anonymous),
            ("conditional_put", self.conditional_put),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?)));
        let flags = flags.into_iter().filter_map(|(name, flag)| Some((name.to_owned(), flag?.to_string())));
        texts.chain(flags).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_rate_counts_as_in_restic() {
        let bytes = |text: &str| text.parse::<LineRate>().map(|rate| rate.0.lowest().map_or(0, NonZeroU64::get));
        assert_eq!(bytes("500"), Ok(500 * 1024));
        assert_eq!(bytes("2M"), Ok(2 << 20));
        assert_eq!(bytes("2M/s"), Ok(2 << 20));
        assert_eq!(bytes(&"3k".parse::<LineRate>().unwrap().to_string()), Ok(3072));
        for bad in ["0", "", "fast", "-1", "99999999999999999999"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_timetable_says_which_limit_counts_when() {
        let table = |text: &str| text.parse::<LineRate>().map(|rate| rate.0);
        let daily = table("08:00,500 18:30,off").unwrap();
        for day in 0..7 {
            assert_eq!(daily.at(day * DAY + 8 * 60), NonZeroU64::new(500 << 10));
            assert_eq!((daily.at(day * DAY + 18 * 60 + 30), daily.at(day * DAY)), (None, None));
        }
        let weekly = table("Mon-00:00,1M sat-12:00,OFF").unwrap();
        assert_eq!((weekly.at(0), weekly.at(5 * DAY + 719)), (NonZeroU64::new(1 << 20), NonZeroU64::new(1 << 20)));
        assert_eq!(weekly.at(5 * DAY + 720), None);
        for text in ["08:00,500 18:30,off", "Mon-00:00,1M sat-12:00,off", "Tue-00:00,2M"] {
            let rate: LineRate = text.parse().unwrap();
            assert_eq!(rate.to_string().parse(), Ok(rate), "{text}");
        }
        for bad in [
            "08:00,",
            ",500",
            "8:00,500",
            "24:00,500",
            "08:60,500",
            "08:00,0",
            "xyz-08:00,500",
            "08:00,500 08:00,600",
            "08:00,500 mon-08:00,1M",
            "08:00 500",
            "08:00,500,600",
        ] {
            assert!(table(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variables_that_are_named_must_be_set() {
        let reach: Reach = toml::from_str("secret_access_key_env = 'THE_KEY'\nanonymous = true\n").unwrap();
        assert!(reach.access(None, &|_| None).unwrap_err().contains("THE_KEY"));
        let access = reach.access(None, &|name| (name == "THE_KEY").then(|| "s3cret".into())).unwrap();
        assert_eq!(access.secret_access_key.unwrap().expose(), "s3cret");
        assert_eq!(access.options["anonymous"], "true");
        assert!(toml::from_str::<Reach>("secret_access_key = 'x'").is_err());
    }
}
