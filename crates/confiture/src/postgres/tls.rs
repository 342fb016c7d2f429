//! TLS as libpq's `sslmode` has it, done by rustls.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{Connection, SslMode};
use crate::disk;
use crate::error::{Error, Result};

/// The TLS of a connection; `None` for `sslmode=disable`.
pub(super) fn connector(connection: &Connection) -> Result<Option<MakeRustlsConnect>> {
    let root = connection.ssl_root_cert.as_deref();
    let check = match (connection.ssl_mode, root) {
        (SslMode::Disable, _) => return Ok(None),
        (SslMode::Prefer, _) | (SslMode::Require, None) => Check::Nothing,
        (SslMode::Require, Some(_)) | (SslMode::VerifyCa, _) => Check::Authority,
        (SslMode::VerifyFull, _) => Check::AuthorityAndName,
    };
    let trusted = match (check, root) {
        (Check::Nothing, _) => Vec::new(),
        (_, Some(path)) => certificates_of(path, "sslrootcert")?,
        (_, None) => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(trusted.iter().cloned());
    if check != Check::Nothing && added == 0 {
        return Err(match root {
            Some(path) => Error::config(format!("there is no usable certificate in {}", path.display()))
                .hint("sslrootcert names a PEM file with the certificates to trust"),
            None => Error::config("this system has no trusted certificates")
                .hint("install ca-certificates, or name the file of the server's authority by sslrootcert"),
        });
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier { check, roots, trusted, provider: provider.clone() };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::unexpected("TLS cannot be set up").because(error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match &connection.client_certificate {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let certificates = certificates_of(&files.certificate, "sslcert")?;
            builder.with_client_auth_cert(certificates, key_of(&files.key)?).map_err(|error| {
                Error::config(format!(
                    "the client certificate {} does not do with its key {}",
                    files.certificate.display(),
                    files.key.display()
                ))
                .hint("check that sslkey is the key of this very sslcert")
                .because(error)
            })?
        }
    };
    Ok(Some(MakeRustlsConnect::new(config)))
}

fn certificates_of(path: &Path, parameter: &str) -> Result<Vec<CertificateDer<'static>>> {
    let pem = disk::read_certificates(path, parameter)?;
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| {
        Error::config(format!("{} ({parameter}) is not a PEM file", path.display()))
            .hint("a PEM certificate begins with -----BEGIN CERTIFICATE-----")
            .because(error)
    })
}

fn key_of(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(&disk::read_certificates(path, "sslkey")?).map_err(|_| {
        Error::config(format!("there is no usable private key in {} (sslkey)", path.display()))
            .hint("it is a PEM file with a key that is not encrypted: -----BEGIN PRIVATE KEY-----")
    })
}

/// What of a server's certificate is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Nothing,
    Authority,
    AuthorityAndName,
}

/// Checks what `sslmode` asks for. The server must always prove that it holds the certificate's key.
#[derive(Debug)]
struct Verifier {
    check: Check,
    roots: RootCertStore,
    trusted: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.check == Check::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        // A self-signed certificate that is itself in the file of trusted ones, as `openssl req -x509` makes them: OpenSSL
        // takes it, the usual path validation does not, as it is an authority's.
        if !self.trusted.iter().any(|trusted| trusted == end_entity) {
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
        if self.check == Check::AuthorityAndName {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
