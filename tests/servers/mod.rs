//! Real servers on loopback, started by the test that needs them and ended with it.
//!
//! `tools/servers` installs them. One that is missing is a visible skip, and a failure where `REQUIRE_SERVERS=1` and what builds it is there.

pub mod proxy;

use boveda::store::access::{Access, Hidden};
use boveda::store::url::StoreUrl;
use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The bucket, container or folder that every server has.
const BUCKET: &str = "packs";
/// The account of Azure's emulator, whose key is public.
const AZURE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// What can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// S3, without any check of credentials.
    Moto,
    /// S3, with signatures and digests checked; puts race.
    S3s,
    /// S3.
    Minio,
    /// Azure Blob.
    Azurite,
    /// Google Cloud Storage.
    FakeGcs,
    /// SFTP.
    Sshd,
    /// WebDAV.
    Webdav,
}

/// A server, until dropped.
pub struct Server {
    pub kind: Kind,
    pub port: u16,
    folder: TempDir,
    child: Child,
    count: AtomicU64,
}

impl Server {
    /// Starts one; `None` when it is not installed.
    #[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
    pub fn start(kind: Kind) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let Some(mut command) = command(kind, port, folder.path()) else {
            let needed = std::env::var_os("REQUIRE_SERVERS").is_some() && can_be_installed(kind);
            assert!(!needed, "{kind:?} is not installed: run tools/servers");
            eprintln!("SKIPPED: {kind:?} is not installed: run tools/servers");
            return None;
        };
        let child = spawn(&mut command, folder.path());
        let server = Self { kind, port, folder, child, count: AtomicU64::new(0) };
        server.wait();
        server.make_bucket();
        Some(server)
    }

    /// Ends it and starts it again with the same data, as after a crash.
    pub fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut command = command(self.kind, self.port, self.folder.path()).unwrap();
        self.child = spawn(&mut command, self.folder.path());
        self.wait();
    }

    /// A location in it that nobody else has.
    pub fn location(&self) -> String {
        self.location_at(self.port, &format!("repo-{}", self.count.fetch_add(1, Ordering::Relaxed)))
    }

    /// The location of `prefix` as it is reached through `port`.
    pub fn location_at(&self, port: u16, prefix: &str) -> String {
        match self.kind {
            Kind::Moto | Kind::S3s | Kind::Minio => {
                format!("s3://{BUCKET}/{prefix}?endpoint=http://127.0.0.1:{port}&region=us-east-1")
            }
            Kind::Azurite => {
                format!(
                    "azblob://{BUCKET}/{prefix}?endpoint=http://127.0.0.1:{port}/devstoreaccount1&account=devstoreaccount1"
                )
            }
            Kind::FakeGcs => format!("gcs://{BUCKET}/{prefix}?endpoint=http://127.0.0.1:{port}&anonymous=on"),
            Kind::Sshd => format!("sftp://127.0.0.1:{port}{}/{prefix}", self.folder.path().display()),
            Kind::Webdav => format!("webdav://u:p@127.0.0.1:{port}/{prefix}"),
        }
    }

    /// What reaches it, with little patience.
    pub fn access(&self) -> Access {
        let mut access = Access { patience: Duration::from_secs(20), ..Access::default() };
        match self.kind {
            Kind::Moto | Kind::S3s | Kind::Minio => {
                access.access_key_id = Some(Hidden::new("AKTESTTEST".to_owned()));
                access.secret_access_key = Some(Hidden::new("SKTESTTEST".to_owned()));
            }
            Kind::Azurite => access.account_key = Some(Hidden::new(AZURE_KEY.to_owned())),
            Kind::Sshd => access.ssh = self.ssh(),
            Kind::FakeGcs | Kind::Webdav => {}
        }
        access
    }

    /// The same for the program, as variables.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        match self.kind {
            Kind::Moto | Kind::S3s | Kind::Minio => {
                vec![("AWS_ACCESS_KEY_ID", "AKTESTTEST".to_owned()), ("AWS_SECRET_ACCESS_KEY", "SKTESTTEST".to_owned())]
            }
            Kind::Azurite => vec![("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY.to_owned())],
            Kind::Sshd => vec![("BOVEDA_SSH", self.ssh().join(" "))],
            Kind::FakeGcs | Kind::Webdav => Vec::new(),
        }
    }

    /// Runs a script of Python that has S3's client in `s3`; returns what it prints.
    pub fn s3_script(&self, script: &str) -> String {
        let head = format!(
            "import boto3\n\
             from botocore.config import Config\n\
             s3 = boto3.client('s3', endpoint_url='http://127.0.0.1:{}', region_name='us-east-1',\n\
             \x20   aws_access_key_id='AKTESTTEST', aws_secret_access_key='SKTESTTEST',\n\
             \x20   config=Config(s3={{'addressing_style': 'path'}}))\n",
            self.port
        );
        let ran = Command::new(installed().join("venv/bin/python")).args(["-c", &(head + script)]).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// Moves a blob of Azure's emulator into a tier.
    pub fn azure_tier(&self, name: &str, tier: &str) {
        let script =
            azure_request(self.port, &format!("/{BUCKET}/{name}"), ("comp", "tier"), &[("x-ms-access-tier", tier)]);
        let ran = Command::new("python3").args(["-c", &script]).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    /// The parsed location.
    pub fn url(location: &str) -> StoreUrl {
        StoreUrl::parse(&OsString::from(location)).unwrap()
    }

    fn ssh(&self) -> Vec<String> {
        vec!["ssh".to_owned(), "-F".to_owned(), self.folder.path().join("ssh_config").display().to_string()]
    }

    fn wait(&self) {
        let start = Instant::now();
        while !self.answers() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(30), "{:?} does not answer:\n{}", self.kind, log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        if self.kind != Kind::Minio {
            return true;
        }
        // It takes connections before it can do anything.
        let mut answer = String::new();
        let asked =
            stream.write_all(b"GET /minio/health/cluster HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok() && answer.contains(" 200 ")
    }

    fn make_bucket(&self) {
        let script = match self.kind {
            Kind::Moto => format!(
                "import urllib.request as u; u.urlopen(u.Request('http://127.0.0.1:{}/{BUCKET}', method='PUT'))",
                self.port
            ),
            Kind::Azurite => azure_container(self.port),
            _ => return,
        };
        let made = Command::new("python3").args(["-c", &script]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on; the system does not give one out twice in a row.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether `tools/servers` can install it here: it installs neither Go nor Node.
fn can_be_installed(kind: Kind) -> bool {
    let tool = match kind {
        Kind::Minio | Kind::FakeGcs => "go",
        Kind::Azurite => "node",
        Kind::Moto | Kind::S3s | Kind::Sshd | Kind::Webdav => return true,
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).exists())
}

/// Where `tools/servers` puts what no package manager has.
fn installed() -> PathBuf {
    let named = std::env::var_os("TEST_SERVERS").map(PathBuf::from);
    named.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/boveda-test-servers"))
}

fn spawn(command: &mut Command, folder: &Path) -> Child {
    let log = || fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    // What dies without dropping takes its servers along.
    let mut tied = Command::new("setpriv");
    tied.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        tied.env(name, value.unwrap());
    }
    tied.stdin(Stdio::null()).stdout(log()).stderr(log()).spawn().unwrap()
}

fn command(kind: Kind, port: u16, folder: &Path) -> Option<Command> {
    let program = |path: PathBuf| path.exists().then(|| Command::new(path));
    let bin = |name: &str| installed().join("bin").join(name);
    let (host, address) = ("127.0.0.1", format!("127.0.0.1:{port}"));
    let data = folder.join("data");
    fs::create_dir_all(data.join(BUCKET)).unwrap();
    let mut command = match kind {
        Kind::Moto => program(installed().join("venv/bin/moto_server"))?,
        Kind::S3s => program(bin("s3s-fs"))?,
        Kind::Minio => program(bin("minio"))?,
        Kind::Azurite => {
            let script = installed().join("node_modules/azurite/dist/src/azurite.js");
            let mut node = script.exists().then(|| Command::new("node"))?;
            node.arg(script);
            node
        }
        Kind::FakeGcs => program(bin("fake-gcs-server"))?,
        Kind::Sshd => program("/usr/sbin/sshd".into())?,
        Kind::Webdav => program("/usr/bin/rclone".into())?,
    };
    let port = port.to_string();
    match kind {
        Kind::Moto => command.args(["-H", host, "-p", &port]),
        Kind::S3s => command
            .args(["--host", host, "--port", &port, "--access-key", "AKTESTTEST", "--secret-key", "SKTESTTEST"])
            .arg(data),
        Kind::Minio => command
            .env("MINIO_ROOT_USER", "AKTESTTEST")
            .env("MINIO_ROOT_PASSWORD", "SKTESTTEST")
            .env("MINIO_UPDATE", "off")
            .arg("server")
            .arg(data)
            .args(["--address", &address, "--console-address", "127.0.0.1:0"]),
        Kind::Azurite => command
            .args(["--silent", "--skipApiVersionCheck", "--disableTelemetry", "-l"])
            .arg(data)
            .args(["--blobHost", host, "--blobPort", &port, "--queuePort", "0", "--tablePort", "0"]),
        Kind::FakeGcs => command
            .args([
                "-scheme",
                "http",
                "-host",
                host,
                "-port",
                &port,
                "-backend",
                "memory",
                "-public-host",
                &address,
                "-data",
            ])
            .arg(data),
        Kind::Sshd => command.arg("-D").arg("-e").arg("-f").arg(sshd_files(folder, &port)),
        Kind::Webdav => command.args(["serve", "webdav", "--addr", &address, "--user", "u", "--pass", "p"]).arg(data),
    };
    Some(command)
}

/// The keys and configurations of a server and its client; returns the server's.
fn sshd_files(folder: &Path, port: &str) -> PathBuf {
    let path = |name: &str| folder.join(name);
    for key in ["host", "client"] {
        if !path(key).exists() {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path(key)).status();
            assert!(made.unwrap().success());
        }
    }
    // sshd wants its folder of privilege separation.
    let _ = fs::create_dir("/run/sshd");
    fs::copy(path("client.pub"), path("authorized")).unwrap();
    let at = folder.display();
    let server = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized\nStrictModes no\n\
         UsePAM no\nPidFile {at}/pid\nPasswordAuthentication no\nMaxStartups 100\nSubsystem sftp internal-sftp\n"
    );
    let client = format!(
        "Host *\n IdentityFile {at}/client\n IdentitiesOnly yes\n UserKnownHostsFile {at}/known\n\
         \x20StrictHostKeyChecking accept-new\n BatchMode yes\n"
    );
    fs::write(path("sshd_config"), server).unwrap();
    fs::write(path("ssh_config"), client).unwrap();
    path("sshd_config")
}

/// Makes the container.
fn azure_container(port: u16) -> String {
    azure_request(port, &format!("/{BUCKET}"), ("restype", "container"), &[])
}

/// A PUT without a body, signed with nothing but what Python has; of the headers, only those that sort before the date.
fn azure_request(port: u16, path: &str, query: (&str, &str), headers: &[(&str, &str)]) -> String {
    let (name, value) = query;
    let signed: String = headers.iter().map(|(name, value)| format!("{name}:{value}\\n")).collect();
    let sent: String = headers.iter().map(|(name, value)| format!("'{name}':'{value}',")).collect();
    format!(
        "import base64,hashlib,hmac,urllib.request as u,email.utils as e\n\
         date=e.formatdate(usegmt=True); v='2021-08-06'; a='devstoreaccount1'\n\
         text='PUT'+'\\n'*12+f'{signed}x-ms-date:{{date}}\\nx-ms-version:{{v}}\\n/{{a}}/{{a}}{path}\\n{name}:{value}'\n\
         key=base64.b64decode('{AZURE_KEY}')\n\
         sig=base64.b64encode(hmac.new(key,text.encode(),hashlib.sha256).digest()).decode()\n\
         h={{{sent}'x-ms-date':date,'x-ms-version':v,'Authorization':f'SharedKey {{a}}:{{sig}}','Content-Length':'0'}}\n\
         u.urlopen(u.Request('http://127.0.0.1:{port}/'+a+'{path}?{name}={value}',method='PUT',headers=h))\n"
    )
}
