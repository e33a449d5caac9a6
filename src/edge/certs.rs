//! A certificate authority for development: `najda certs dev`, the demo and the tests.
//!
//! Not for the field: its key lies beside the certificates it signs. What the field needs of a certificate is written in
//! [`tls`](super::tls).

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};

use super::tls::{Role, write_private};
use super::tokens::{Tokens, TokensError};
use crate::client::{Identity, IdentityError};

/// Days a role's certificate is good for.
const DAYS_MAX: i64 = 825;
/// Days the authority is good for.
const AUTHORITY_DAYS_MAX: i64 = 3_650;

/// Why certificates could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertsError {
    #[error("cannot use {path}: {why}")]
    Folder { path: PathBuf, why: io::Error },
    #[error("{path} is there without {missing}; restore it or remove both")]
    HalfAnAuthority { path: PathBuf, missing: PathBuf },
    #[error("cannot make the certificate of {of}: {why}")]
    Refused { of: String, why: rcgen::Error },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Tokens(#[from] TokensError),
}

/// A folder of development certificates: `ca.pem`, `server.pem`, one `.pem` and one `.key` a role, and a token of the HTTP door.
#[derive(Clone, Debug)]
pub struct DevCerts {
    pub folder: PathBuf,
}

impl DevCerts {
    /// Makes what is missing in `folder`: the authority once, the certificate of the engine (`localhost`, `127.0.0.1`, `::1`), and
    /// one for each role. An existing authority is used again, so that certificates handed out before stay good; the others are new.
    ///
    /// The folder may be entered, and the keys read, by their owner only.
    ///
    /// # Errors
    /// See [`CertsError`].
    pub fn make(folder: &Path, roles: &[Role]) -> Result<Self, CertsError> {
        let at = |path: &Path, why| CertsError::Folder { path: path.to_owned(), why };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|why| at(folder, why))?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(|why| at(folder, why))?;
        let certs = Self { folder: folder.to_owned() };
        let authority = certs.authority()?;
        let local = [
            SanType::DnsName(ia5("localhost", "localhost")?),
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ];
        certs.write(&authority, "server", local.to_vec(), ExtendedKeyUsagePurpose::ServerAuth)?;
        for role in roles {
            let uri = role.to_string();
            let names = vec![SanType::URI(ia5(&uri, &uri)?)];
            certs.write(&authority, &file_stem(role), names, ExtendedKeyUsagePurpose::ClientAuth)?;
        }
        Tokens::make_dev(folder)?;
        Ok(certs)
    }

    /// The certificate of a role made here, with its key and the authority.
    ///
    /// # Errors
    /// [`IdentityError::Unreadable`] when it was never made.
    pub fn identity(&self, role: &Role) -> Result<Identity, IdentityError> {
        Identity::from_folder(&self.folder, &file_stem(role))
    }

    /// The engine's own.
    ///
    /// # Errors
    /// As [`Self::identity`].
    pub fn server(&self) -> Result<Identity, IdentityError> {
        Identity::from_folder(&self.folder, "server")
    }

    fn authority(&self) -> Result<Issuer<'static, KeyPair>, CertsError> {
        let (pem, key) = (self.folder.join("ca.pem"), self.folder.join("ca.key"));
        let refused = |why| CertsError::Refused { of: "the authority".into(), why };
        let read = |path: &Path| match fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(CertsError::Folder { path: path.to_owned(), why }),
        };
        match (read(&pem)?, read(&key)?) {
            (Some(pem), Some(key)) => Issuer::from_ca_cert_pem(&pem, KeyPair::from_pem(&key).map_err(refused)?).map_err(refused),
            (None, None) => self.new_authority(),
            // Making a new one would silently orphan every certificate in the field of this folder.
            (Some(_), None) => Err(CertsError::HalfAnAuthority { path: pem, missing: key }),
            (None, Some(_)) => Err(CertsError::HalfAnAuthority { path: key, missing: pem }),
        }
    }

    fn new_authority(&self) -> Result<Issuer<'static, KeyPair>, CertsError> {
        let refused = |why| CertsError::Refused { of: "the authority".into(), why };
        let key = KeyPair::generate().map_err(refused)?;
        let mut params = params("Najda development authority", AUTHORITY_DAYS_MAX);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(refused)?;
        self.write_pair("ca", &certificate.pem(), &key.serialize_pem())?;
        Ok(Issuer::new(params, key))
    }

    fn write(
        &self,
        authority: &Issuer<'_, KeyPair>,
        stem: &str,
        names: Vec<SanType>,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<(), CertsError> {
        let refused = |why| CertsError::Refused { of: stem.into(), why };
        let key = KeyPair::generate().map_err(refused)?;
        let mut params = params(stem, DAYS_MAX);
        params.subject_alt_names = names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, authority).map_err(refused)?;
        self.write_pair(stem, &certificate.pem(), &key.serialize_pem())
    }

    fn write_pair(&self, stem: &str, pem: &str, key: &str) -> Result<(), CertsError> {
        for (ending, text) in [("key", key), ("pem", pem)] {
            let path = self.folder.join(format!("{stem}.{ending}"));
            write_private(&path, text.as_bytes()).map_err(|why| CertsError::Folder { path, why })?;
        }
        Ok(())
    }
}

/// The name of a role's files: `gateway-<trunk>`, `console-<dispatcher>-<seat>`, `ops-<name>`, `load-test-...`.
pub fn file_stem(role: &Role) -> String {
    let uri = role.to_string();
    let path = uri.strip_prefix("urn:najda:").unwrap_or(&uri);
    // Names are visible ASCII; what a file name or a shell could trip on is replaced.
    path.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' }).collect()
}

fn params(common_name: &str, days: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let date = |days: i64| today.checked_add(jiff::Span::new().days(days)).unwrap_or(today);
    // A day back, for a peer whose clock is behind.
    for (at, date) in [(&mut params.not_before, date(-1)), (&mut params.not_after, date(days))] {
        *at = date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs());
    }
    params
}

fn ia5(text: &str, of: &str) -> Result<rcgen::string::Ia5String, CertsError> {
    text.try_into().map_err(|why| CertsError::Refused { of: of.into(), why })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(text: &str) -> Role {
        Role::parse(text).unwrap()
    }

    #[test]
    fn a_role_survives_its_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let roles = ["gateway/g1", "console/DU-POL/1", "ops/omar", "load-test/gateway/g2", "load-test/console/DU-POL/9"].map(role);
        let certs = DevCerts::make(&folder.path().join("a/b"), &roles).unwrap();
        for role in roles {
            let identity = certs.identity(&role).unwrap();
            assert_eq!(Role::from_certificate(&identity.chain[0]), Ok(role));
        }
        let server = certs.server().unwrap();
        assert_eq!(Role::from_certificate(&server.chain[0]), Err(crate::edge::tls::RoleError::NotOne { got: 0 }));
        assert!(crate::edge::tls::quic_server(&server).is_ok());
    }

    #[test]
    fn keys_and_folder_are_their_owners_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("certs");
        DevCerts::make(&folder, &[role("gateway/g1")]).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        for file in fs::read_dir(&folder).unwrap() {
            assert_eq!(mode(&file.unwrap().path()), 0o600);
        }
    }

    #[test]
    fn an_existing_authority_is_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let certs = DevCerts::make(folder.path(), &[role("gateway/g1")]).unwrap();
        let before = fs::read(folder.path().join("ca.pem")).unwrap();
        let old = certs.identity(&role("gateway/g1")).unwrap();
        DevCerts::make(folder.path(), &[role("gateway/g2")]).unwrap();
        assert_eq!(fs::read(folder.path().join("ca.pem")).unwrap(), before);
        let new = certs.identity(&role("gateway/g2")).unwrap();
        assert_eq!(old.authority, new.authority);
    }

    #[test]
    fn half_an_authority_is_an_error_and_not_a_new_authority() {
        let folder = tempfile::tempdir().unwrap();
        DevCerts::make(folder.path(), &[]).unwrap();
        fs::remove_file(folder.path().join("ca.key")).unwrap();
        assert!(matches!(DevCerts::make(folder.path(), &[]), Err(CertsError::HalfAnAuthority { .. })));
    }
}
