//! Signs for a certificate, with a private key or through an agent.

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::{self, SigningKey};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey};
use thiserror::Error;
use tokio::net::UnixStream;

/// Signs with a private key what a host asks for.
///
/// The library signs by itself for certificates, but with SHA-1 for those of RSA keys.
pub(super) struct KeySigner<'a>(pub(super) &'a PrivateKey);

/// Has an agent sign with a key that it holds, for a certificate that it may not have.
pub(super) struct AgentSigner<'a> {
    pub(super) agent: &'a mut AgentClient<UnixStream>,
    pub(super) key: PublicKey,
}

impl russh::Signer for AgentSigner<'_> {
    type Error = KeySignerError;

    async fn auth_sign(
        &mut self,
        _certificate: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, KeySignerError> {
        let key = AgentIdentity::PublicKey {
            key: self.key.clone(),
            comment: String::new(),
        };
        let signed = self.agent.sign_request(&key, hash, to_sign).await;
        signed.map_err(|error| KeySignerError::Key(error.to_string()))
    }
}

/// Nothing was signed.
#[derive(Debug, Error)]
pub(super) enum KeySignerError {
    /// The connection is gone.
    #[error(transparent)]
    Send(#[from] russh::SendError),
    /// The key cannot sign.
    #[error("the key cannot sign: {0}")]
    Key(String),
}

impl KeySigner<'_> {
    /// Returns the hash with which a key signs, if there is a choice.
    pub(super) fn hash_of(key: &PrivateKey) -> Option<HashAlg> {
        matches!(key.algorithm(), Algorithm::Rsa { .. }).then_some(HashAlg::Sha512)
    }
}

impl russh::Signer for KeySigner<'_> {
    type Error = KeySignerError;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        _hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, KeySignerError> {
        let (algorithm, signature) = sign(self.0, &to_sign).map_err(KeySignerError::Key)?;
        // RFC 4253, section 6.6: the name and the signature, each with its length.
        let length = algorithm.len() + signature.len() + 8;
        for (length, bytes) in [
            (length, &[][..]),
            (algorithm.len(), algorithm.as_bytes()),
            (signature.len(), &signature),
        ] {
            let length = u32::try_from(length)
                .map_err(|_| KeySignerError::Key("the signature is too long".to_owned()))?;
            to_sign.extend_from_slice(&length.to_be_bytes());
            to_sign.extend_from_slice(bytes);
        }
        Ok(to_sign)
    }
}

/// Signs, with SHA-512 if the key is RSA's. Returns the algorithm and the signature.
fn sign(key: &impl SigningKey, data: &[u8]) -> Result<(String, Vec<u8>), String> {
    let signature: ssh_key::Signature = key.try_sign(data).map_err(|error| error.to_string())?;
    let algorithm = signature.algorithm().as_str().to_owned();
    Ok((algorithm, signature.as_bytes().to_vec()))
}
