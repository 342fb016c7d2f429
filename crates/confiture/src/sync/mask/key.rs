//! The key of a sync, and what is derived from it. There is no default key, and no short one.

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::config::Secret;
use crate::error::{Error, Result};
use crate::sql::hexadecimal;

/// As long as what `openssl rand -base64 24` prints.
const SHORTEST: usize = 32;

/// The one secret: whoever has it can compute masks from guessed values.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// The key that a secret text stands for.
    ///
    /// # Errors
    ///
    /// Where the text is empty, short or one character repeated.
    pub fn from_secret(secret: &Secret) -> Result<Self> {
        let text = secret.expose().trim();
        let hint = "make one with `openssl rand -hex 32`, and keep it where production's passwords are";
        if text.len() < SHORTEST {
            let message = format!("the key must have at least {SHORTEST} characters, and has {}", text.len());
            return Err(Error::config(message).hint(hint));
        }
        let mut kinds: Vec<char> = text.chars().collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.len() < 8 {
            return Err(Error::config("the key repeats a few characters, which is no secret").hint(hint));
        }
        Ok(Self(Zeroizing::new(mac(b"confiture sync v1", &[text.as_bytes()]))))
    }

    /// A key that nobody knows, gone with this run.
    ///
    /// # Errors
    ///
    /// Where the system has no randomness.
    pub fn ephemeral() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut())
            .map_err(|error| Error::unexpected(format!("the system gives no random numbers: {error}")))?;
        Ok(Self(bytes))
    }

    /// What two runs can be compared by; it tells nothing about the key.
    #[must_use]
    pub fn id(&self) -> String {
        hexadecimal(&mac(self.0.as_ref(), &[b"id"])[..8])
    }

    /// A signature.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> String {
        hexadecimal(&mac(self.0.as_ref(), &[b"manifest\0", text]))
    }

    /// The key of one domain: equal values of one domain get equal masks.
    #[must_use]
    pub fn subkey(&self, domain: &str) -> Keyed {
        let key = Zeroizing::new(mac(self.0.as_ref(), &[b"domain\0", domain.as_bytes()]));
        let block = Zeroizing::new(mac(key.as_ref(), &[b"block"]));
        Keyed { hash: keyed_hash(key.as_ref()), block: Aes256::new(&(*block).into()) }
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The key of one domain, made ready.
#[derive(Clone)]
pub struct Keyed {
    hash: Hmac<Sha256>,
    block: Aes256,
}

impl Keyed {
    /// HMAC-SHA256 of the parts, one behind the other.
    #[must_use]
    pub fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = self.hash.clone();
        for part in parts {
            hash.update(part);
        }
        hash.finalize().into_bytes().into()
    }

    /// The first bytes of the hash as a number.
    #[must_use]
    pub fn number(&self, parts: &[&[u8]]) -> u128 {
        let hash = self.hash(parts);
        u128::from_be_bytes(hash[..16].try_into().unwrap_or([0; 16]))
    }

    /// A block key as a standard's samples give it.
    #[cfg(test)]
    pub(crate) fn for_test(block: [u8; 32]) -> Self {
        Self { hash: keyed_hash(&block), block: Aes256::new(&block.into()) }
    }

    /// One block enciphered with AES-256.
    #[must_use]
    pub fn encipher(&self, block: [u8; 16]) -> [u8; 16] {
        let mut block = block.into();
        self.block.encrypt_block(&mut block);
        block.into()
    }
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

fn keyed_hash(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of every length.
    Hmac::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes every key"))
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = keyed_hash(key);
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_of_rfc_4231() {
        let test_case_2 = mac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(
            hexadecimal(&test_case_2),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_key_that_is_none_is_refused_and_none_is_shown() {
        for text in ["", "short", &"a".repeat(64)] {
            let error = MasterKey::from_secret(&Secret::new(text)).unwrap_err();
            assert!(!error.message().contains("short\u{20}key") && error.kind() == crate::ErrorKind::Config);
        }
        let key = MasterKey::from_secret(&Secret::new("0123456789abcdef0123456789abcdef")).unwrap();
        assert_eq!(format!("{key:?} {:?}", key.subkey("x")), "*** ***");
        assert_ne!(key.id(), MasterKey::ephemeral().unwrap().id());
        assert_ne!(key.subkey("a").hash(&[b"x"]), key.subkey("b").hash(&[b"x"]));
    }
}
