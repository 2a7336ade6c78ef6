//! Logs in with the keys of the agent and of key files.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use russh::MethodKind;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use thiserror::Error;
use tokio::net::UnixStream;

use super::destination::Destination;
use super::handler::ClientHandler;
use super::host_key::fingerprint;
use super::identity::{
    LoadedCertificate, LoadedIdentity, UnusableKeyFile, observe_certificates, observe_identity,
};
use super::key_signer::{AgentSigner, KeySigner};

type Agent = AgentClient<UnixStream>;

/// One key, or one source of keys, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The key or source.
    pub what: String,
    /// What came of it.
    pub outcome: String,
}

impl fmt::Display for Attempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.what, self.outcome)
    }
}

/// No key was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no key was accepted ({}){}", tried(attempts), allowed(methods))]
pub struct AuthenticationError {
    /// What was tried, in order.
    pub attempts: Vec<Attempt>,
    /// The ways to log in that the host allows.
    pub methods: Vec<String>,
    /// Whether a key was offered to the host at all.
    pub offered: bool,
    /// Whether the host cut the attempts short.
    pub cut_short: bool,
}

fn tried(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return "there was none to offer".to_owned();
    }
    let listed: Vec<String> = attempts.iter().map(Attempt::to_string).collect();
    listed.join("; ")
}

fn allowed(methods: &[String]) -> String {
    if allows_keys(methods) {
        return String::new();
    }
    format!("; the host only allows {}", methods.join(", "))
}

/// Whether keys are welcome, as far as the host has said.
fn allows_keys(methods: &[String]) -> bool {
    methods.is_empty() || methods.iter().any(|method| method == "publickey")
}

impl AuthenticationError {
    /// What the operator, who came from the address `from`, can do next.
    pub fn hint(&self, user: &str, from: Option<IpAddr>) -> String {
        if self.cut_short {
            return "the host ended the attempts: name the right key with IdentityFile and set IdentitiesOnly yes in ~/.ssh/config".to_owned();
        }
        if !allows_keys(&self.methods) {
            return "Flocker logs in with keys only: allow PubkeyAuthentication in the host's sshd_config".to_owned();
        }
        if self.offered {
            let place = from.map_or_else(
                || "host=,addr=".to_owned(),
                |from| format!("host={from},addr={from}"),
            );
            return format!(
                "add one of these keys to ~{user}/.ssh/authorized_keys on the node, or log in as another user; if a key is there, a rule of sshd refuses {user}, such as AllowUsers, AllowGroups, DenyUsers, DenyGroups or PermitRootLogin: on the node, `sshd -T -C user={user},{place} | grep -E 'users|groups|permit'` shows it"
            );
        }
        "load a key with `ssh-add`, or name one with IdentityFile in ~/.ssh/config".to_owned()
    }
}

/// Logs in: first with keys of the agent that were also named as files, then
/// with its other keys, then with the remaining files.
///
/// Source: the order of `pubkey_prepare` in OpenSSH, so that a host that
/// counts attempts (`MaxAuthTries`) behaves as it does with `ssh`.
pub(super) async fn authenticate(
    handle: &mut Handle<ClientHandler>,
    destination: &Destination,
) -> Result<(), AuthenticationError> {
    let (certificates, unusable) =
        observe_certificates(&destination.certificates, &destination.identities);
    let mut login = Login {
        handle,
        user: &destination.user,
        certificates,
        rsa_hash: None,
        failure: AuthenticationError {
            attempts: Vec::new(),
            methods: Vec::new(),
            offered: false,
            cut_short: false,
        },
    };
    for (path, reason) in unusable {
        login.note(&path.display().to_string(), reason);
    }
    let mut files: Vec<LoadedIdentity> = destination
        .identities
        .iter()
        .map(observe_identity)
        .collect();
    if let Some(socket) = &destination.agent
        && let Some((mut agent, keys)) = login.open_agent(socket).await
    {
        for key in order_agent_keys(keys, &files, destination.identities_only) {
            let public_key = key.public_key().into_owned();
            // A key the agent offers is not offered from its file again.
            files.retain(|file| !file.holds(&public_key));
            if login
                .try_certificates(&public_key, Signer::Agent(&mut agent))
                .await?
            {
                return Ok(());
            }
            if login.try_agent_key(&mut agent, key).await? {
                return Ok(());
            }
        }
    }
    for file in files {
        if login.try_file(file).await? {
            return Ok(());
        }
    }
    Err(login.failure)
}

impl LoadedIdentity {
    fn holds(&self, key: &PublicKey) -> bool {
        self.public_key
            .as_ref()
            .is_some_and(|own| own.key_data() == key.key_data())
    }
}

fn order_agent_keys(
    mut keys: Vec<AgentIdentity>,
    files: &[LoadedIdentity],
    only_named: bool,
) -> Vec<AgentIdentity> {
    let mut ordered = Vec::new();
    for file in files {
        if let Some(at) = keys.iter().position(|key| file.holds(&key.public_key())) {
            ordered.push(keys.remove(at));
        }
    }
    if !only_named {
        ordered.extend(keys);
    }
    ordered
}

/// What signs for a certificate's key.
enum Signer<'a> {
    Agent(&'a mut Agent),
    Key(&'a PrivateKey),
}

struct Login<'a> {
    handle: &'a mut Handle<ClientHandler>,
    user: &'a str,
    /// Offered before the keys that they are about.
    certificates: Vec<LoadedCertificate>,
    /// The hash to sign with using RSA keys, once it is known.
    rsa_hash: Option<HashAlg>,
    failure: AuthenticationError,
}

impl Login<'_> {
    fn note(&mut self, what: &str, outcome: impl fmt::Display) {
        self.failure.attempts.push(Attempt {
            what: what.to_owned(),
            outcome: outcome.to_string(),
        });
    }

    async fn open_agent(&mut self, socket: &Path) -> Option<(Agent, Vec<AgentIdentity>)> {
        let what = format!("agent at {}", socket.display());
        let mut agent = match AgentClient::connect_uds(socket).await {
            Ok(agent) => agent,
            Err(error) => {
                self.note(&what, format_args!("no connection ({error})"));
                return None;
            }
        };
        // Keys confined to certain hosts stay hidden unless the agent knows
        // which host this is; agents that know nothing of that say no.
        if let Some(binding) = self.handle.agent_session_binding() {
            let _ = agent.bind_session(binding, false).await;
        }
        match agent.request_identities().await {
            Ok(keys) => {
                if keys.is_empty() {
                    self.note(&what, "holds no keys");
                }
                Some((agent, keys))
            }
            Err(error) => {
                self.note(&what, format_args!("does not list its keys ({error})"));
                None
            }
        }
    }

    async fn try_agent_key(
        &mut self,
        agent: &mut Agent,
        identity: AgentIdentity,
    ) -> Result<bool, AuthenticationError> {
        let what = format!(
            "agent key {} ({})",
            fingerprint(&identity.public_key()),
            identity.comment()
        );
        let hash = self.hash_for(&identity.public_key().algorithm()).await;
        self.failure.offered = true;
        let result = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                self.handle
                    .authenticate_publickey_with(self.user, key, hash, agent)
                    .await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                self.handle
                    .authenticate_certificate_with(self.user, certificate, hash, agent)
                    .await
            }
        };
        match result {
            Ok(result) => self.judge(&what, result),
            Err(error) => {
                self.note(&what, format_args!("the agent did not sign ({error})"));
                Ok(false)
            }
        }
    }

    /// Offers the certificates of a key.
    async fn try_certificates(
        &mut self,
        key: &PublicKey,
        mut signer: Signer<'_>,
    ) -> Result<bool, AuthenticationError> {
        let is_of_key =
            |loaded: &LoadedCertificate| loaded.certificate.public_key() == key.key_data();
        let (certificates, others) = std::mem::take(&mut self.certificates)
            .into_iter()
            .partition(is_of_key);
        self.certificates = others;
        let certificates: Vec<LoadedCertificate> = certificates;
        for LoadedCertificate { path, certificate } in certificates {
            let what = format!("certificate {}", path.display());
            self.failure.offered = true;
            let result = match &mut signer {
                Signer::Agent(agent) => {
                    let hash = self.hash_for(&key.algorithm()).await;
                    let key = key.clone();
                    let mut signer = AgentSigner { agent, key };
                    self.handle
                        .authenticate_certificate_with(self.user, certificate, hash, &mut signer)
                        .await
                        .map_err(|error| error.to_string())
                }
                Signer::Key(key) => self
                    .handle
                    .authenticate_certificate_with(
                        self.user,
                        certificate,
                        KeySigner::hash_of(key),
                        &mut KeySigner(key),
                    )
                    .await
                    .map_err(|error| error.to_string()),
            };
            match result {
                Ok(result) => {
                    if self.judge(&what, result)? {
                        return Ok(true);
                    }
                }
                Err(error) => self.note(&what, format_args!("could not be offered ({error})")),
            }
        }
        Ok(false)
    }

    async fn try_file(&mut self, file: LoadedIdentity) -> Result<bool, AuthenticationError> {
        let path = file.identity.path.display().to_string();
        let key = match file.private_key {
            Ok(key) => key,
            Err(UnusableKeyFile::Missing) if !file.identity.named => return Ok(false),
            Err(reason) => {
                self.note(&path, reason);
                return Ok(false);
            }
        };
        if self
            .try_certificates(&key.public_key().clone(), Signer::Key(&key))
            .await?
        {
            return Ok(true);
        }
        let what = format!("{path}, {}", fingerprint(key.public_key()));
        self.failure.offered = true;
        match self.offer(key).await {
            Ok(result) => self.judge(&what, result),
            Err(error) => {
                self.note(&what, format_args!("could not be offered ({error})"));
                Ok(false)
            }
        }
    }

    async fn offer(&mut self, key: PrivateKey) -> Result<AuthResult, russh::Error> {
        let hash = self.hash_for(&key.algorithm()).await;
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        self.handle.authenticate_publickey(self.user, key).await
    }

    /// `Ok(true)` once logged in; an error when trying on is useless.
    fn judge(&mut self, what: &str, result: AuthResult) -> Result<bool, AuthenticationError> {
        let AuthResult::Failure {
            remaining_methods,
            partial_success,
        } = result
        else {
            return Ok(true);
        };
        self.failure.methods = remaining_methods
            .iter()
            .map(|method| <&str>::from(method).to_owned())
            .collect();
        if partial_success {
            self.note(what, "accepted, but the host demands a second factor");
        } else {
            self.note(what, "refused by the host");
        }
        // The library reports a lost connection as a failure, too.
        if self.handle.is_closed() || remaining_methods.is_empty() {
            self.failure.cut_short = true;
            return Err(self.failure.clone());
        }
        if !remaining_methods.contains(&MethodKind::PublicKey) {
            return Err(self.failure.clone());
        }
        Ok(false)
    }

    /// RSA keys can sign with several hashes. SHA-1 is not considered.
    async fn hash_for(&mut self, algorithm: &Algorithm) -> Option<HashAlg> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return None;
        }
        if self.rsa_hash.is_none() {
            let best = self.handle.best_supported_rsa_hash().await;
            self.rsa_hash = best.ok().flatten().flatten().or(Some(HashAlg::Sha512));
        }
        self.rsa_hash
    }
}
