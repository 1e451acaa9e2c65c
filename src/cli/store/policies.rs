//! What a provider must allow each role, and nothing more: texts to paste.
//!
//! A writer puts below `sess/`, `packs/` and `idx/` and reads; it replaces and removes nothing, and no policy here lets it.

use crate::store::remote_url::{RemoteUrl, Scheme};
use crate::store::url::StoreUrl;

/// The policy of one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The role.
    pub role: &'static str,
    /// Where it is to be entered.
    pub how: &'static str,
    /// What is to be entered.
    pub text: String,
}

/// Folders that a writer puts into.
const WRITTEN: [&str; 3] = ["sess", "packs", "idx"];

/// The policies for a place of this kind.
pub fn of(url: &StoreUrl) -> Vec<Part> {
    let StoreUrl::Remote(url) = url else {
        let text = "the folder's owner may do everything; others need a server that keeps them apart".to_owned();
        return vec![Part { role: "everybody", how: "modes of the folder", text }];
    };
    match url.scheme {
        Scheme::S3 => s3(url),
        Scheme::B2 => b2(url),
        Scheme::Azblob => azure(url),
        Scheme::Gcs => gcs(url),
        Scheme::Sftp | Scheme::Webdav | Scheme::Webdavs => {
            let text =
                "who may write here may also remove: give a writer an append-only server, or a bucket".to_owned();
            vec![Part { role: "everybody", how: "the server's own accounts", text }]
        }
    }
}

fn below(url: &RemoteUrl, folder: &str) -> String {
    if url.path.is_empty() { folder.to_owned() } else { format!("{}/{folder}", url.path) }
}

fn s3(url: &RemoteUrl) -> Vec<Part> {
    const HOW: &str = "IAM policy of that user or role";
    let bucket = &url.host;
    let objects = |folder: &str| format!("\"arn:aws:s3:::{bucket}/{}\"", below(url, folder));
    let all = objects("*");
    let prefix = if url.path.is_empty() { "*".to_owned() } else { format!("{}/*", url.path) };
    let list = format!(
        "{{\"Effect\": \"Allow\", \"Action\": \"s3:ListBucket\", \"Resource\": \"arn:aws:s3:::{bucket}\",\n   \
         \"Condition\": {{\"StringLike\": {{\"s3:prefix\": \"{prefix}\"}}}}}}"
    );
    let read = format!("{{\"Effect\": \"Allow\", \"Action\": \"s3:GetObject\", \"Resource\": {all}}}");
    let written = WRITTEN.map(|folder| objects(&format!("{folder}/*"))).join(", ");
    let put = format!(
        "{{\"Effect\": \"Allow\", \"Action\": \"s3:PutObject\", \"Resource\": [{written}],\n   \
         \"Condition\": {{\"Null\": {{\"s3:if-none-match\": \"false\"}}}}}}"
    );
    // The last two only tell: until when an object lock holds.
    let tidy = format!(
        "{{\"Effect\": \"Allow\", \"Action\": [\"s3:PutObject\", \"s3:DeleteObject\",\n   \
         \"s3:GetObjectRetention\", \"s3:GetObjectLegalHold\"], \"Resource\": {all}}}"
    );
    let policy = |statements: &[&str]| {
        format!("{{\"Version\": \"2012-10-17\", \"Statement\": [\n  {}\n]}}", statements.join(",\n  "))
    };
    vec![
        Part { role: "writer", how: HOW, text: policy(&[&list, &read, &put]) },
        Part { role: "reader", how: HOW, text: policy(&[&list, &read]) },
        Part { role: "maintainer", how: HOW, text: policy(&[&list, &read, &tidy]) },
    ]
}

fn b2(url: &RemoteUrl) -> Vec<Part> {
    let (bucket, prefix) = (&url.host, below(url, ""));
    let key = |name: &str, rights: &str| {
        format!("b2 key create --bucket {bucket} --name-prefix '{prefix}' boveda-{name} {rights}")
    };
    let how = "application key; B2 keeps replaced and hidden versions as the bucket's lifecycle says";
    vec![
        Part { role: "writer", how, text: key("writer", "listBuckets,listFiles,readFiles,writeFiles") },
        Part { role: "reader", how, text: key("reader", "listBuckets,listFiles,readFiles") },
        Part {
            role: "maintainer",
            how,
            text: key("maintainer", "listBuckets,listFiles,readFiles,writeFiles,deleteFiles"),
        },
    ]
}

fn azure(url: &RemoteUrl) -> Vec<Part> {
    let account = url.option("account").unwrap_or("ACCOUNT");
    let container = &url.host;
    let token = |rights: &str| {
        format!(
            "az storage container generate-sas --account-name {account} --name {container} --permissions {rights} \\\n  \
             --expiry \"$(date -u -d '+1 year' +%Y-%m-%dT%H:%MZ)\" --https-only"
        )
    };
    let how = "shared access signature: set it as AZURE_STORAGE_SAS_TOKEN";
    let create = "shared access signature; `c` creates and never replaces: set it as AZURE_STORAGE_SAS_TOKEN";
    vec![
        Part { role: "writer", how: create, text: token("rcl") },
        Part { role: "reader", how, text: token("rl") },
        Part { role: "maintainer", how, text: token("rcwdl") },
    ]
}

fn gcs(url: &RemoteUrl) -> Vec<Part> {
    let bucket = &url.host;
    let bind = |member: &str, role: &str, condition: &str| {
        format!(
            "gcloud storage buckets add-iam-policy-binding gs://{bucket} --role={role} \\\n  \
             --member=serviceAccount:boveda-{member}@PROJECT.iam.gserviceaccount.com{condition}"
        )
    };
    let names = WRITTEN.map(|folder| {
        format!("resource.name.startsWith('projects/_/buckets/{bucket}/objects/{}/')", below(url, folder))
    });
    let condition = format!(" \\\n  --condition=title=boveda,expression=\"{}\"", names.join(" || "));
    let read = |member: &str| bind(member, "roles/storage.objectViewer", "");
    let how = "bindings of the bucket; objectCreator has no right to delete, and so none to replace";
    vec![
        Part {
            role: "writer",
            how,
            text: format!("{}\n{}", read("writer"), bind("writer", "roles/storage.objectCreator", &condition)),
        },
        Part { role: "reader", how, text: read("reader") },
        Part { role: "maintainer", how, text: bind("maintainer", "roles/storage.objectUser", "") },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(location: &str) -> Vec<Part> {
        of(&StoreUrl::parse(location.as_ref()).unwrap())
    }

    #[test]
    fn no_writer_may_remove_or_replace() {
        for location in ["s3://b/p", "b2://b/p?region=x", "azblob://c/p?account=a", "gcs://b/p"] {
            let parts = texts(location);
            assert_eq!(parts.iter().map(|part| part.role).collect::<Vec<_>>(), ["writer", "reader", "maintainer"]);
            for text in parts.iter().filter(|part| part.role != "maintainer").map(|part| part.text.to_lowercase()) {
                assert!(!text.contains("delete"), "{location}: {text}");
            }
        }
    }

    #[test]
    fn policies_of_s3_are_json_and_stay_in_the_prefix() {
        for location in ["s3://b", "s3://b/a/p"] {
            for part in texts(location) {
                let policy: serde_json::Value = serde_json::from_str(&part.text).unwrap();
                assert!(policy["Statement"].as_array().unwrap().len() >= 2);
            }
        }
        assert!(texts("s3://b/a/p")[0].text.contains("arn:aws:s3:::b/a/p/packs/*"));
        assert!(texts("s3://b/a/p")[0].text.contains("s3:if-none-match"));
    }
}
