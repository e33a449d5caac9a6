//! `najda certs dev`: certificates for a development engine and everybody who speaks to it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use crate::deliver::Seat;
use crate::edge;
use crate::edge::certs::{DevCerts, file_stem};
use crate::edge::tls::Role;
use crate::tables::snapshot::Tables;
use crate::units::Name;

/// Make certificates.
#[derive(Debug, Args)]
pub struct CertsArgs {
    #[command(subcommand)]
    command: CertsCommand,
}

#[derive(Debug, Subcommand)]
enum CertsCommand {
    Dev(DevArgs),
}

/// Make a development authority, the engine's certificate, and one for each role. Not for the field: the authority's key lies beside
/// the certificates it signs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  najda certs dev                                   everything the shipped tables need, in certs/
  najda certs dev --dir c --role console/DU-POL/1   one seat more; the authority in c/ is used again
  najda certs dev --role gateway/g1 --role load-test/gateway/g1 --role ops/sara

A role is gateway/TRUNK, console/DISPATCHER/SEAT, supervisor/DISPATCHER/SEAT, auditor/NAME, ops/NAME, or load-test/ before one of \
the first two. Without --role: ops/dev, a \
gateway for every trunk, seat 1 of every dispatcher, and the same of both for load tests. A role made before gets a new certificate; \
the old one stays good until it expires.")]
pub struct DevArgs {
    /// Folder of the certificates; made when it is not there, closed to everybody but its owner.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    dir: PathBuf,
    /// Make only this role; may be given several times.
    #[arg(long, value_name = "ROLE", value_parser = |text: &str| Role::parse(text).map_err(|error| error.to_string()))]
    role: Vec<Role>,
    /// Tables whose trunks and dispatchers get certificates; the shipped ones by default.
    #[arg(long, value_name = "DIR|FILE", conflicts_with = "role")]
    tables: Option<PathBuf>,
}

pub fn run(args: &CertsArgs) -> Result<ExitCode> {
    let CertsCommand::Dev(args) = &args.command;
    let roles = if args.role.is_empty() {
        default_roles(&edge::tables::load_or_shipped(args.tables.as_deref())?.tables)
    } else {
        args.role.clone()
    };
    DevCerts::make(&args.dir, &roles)
        .with_context(|| format!("making certificates in {}; name another folder with --dir", args.dir.display()))?;
    println!("{}", args.dir.display());
    println!("  {:<44} the authority both ends trust", "ca.pem");
    println!("  {:<44} the engine, as localhost, 127.0.0.1 and ::1", "server.pem, server.key");
    for role in &roles {
        let stem = file_stem(role);
        println!("  {:<44} {}", format!("{stem}.pem, .key"), role);
    }
    println!("{} roles. Next: najda serve --certs {}", roles.len(), args.dir.display());
    Ok(ExitCode::SUCCESS)
}

/// Everybody the tables speak of: ops, gateways, seats, and both again for load tests.
pub fn default_roles(tables: &Tables) -> Vec<Role> {
    let seat = Name::new("1").unwrap_or_default();
    let mut roles = Vec::new();
    roles.extend(Name::new("dev").map(|name| Role::Ops { name }));
    for load_test in [false, true] {
        roles.extend(tables.identities.trunks.iter().map(|row| Role::Gateway { trunk: row.trunk, load_test }));
        let seats = tables.dispatchers.rows.iter().map(|row| Seat { dispatcher: row.id, seat });
        roles.extend(seats.map(|seat| Role::Console { seat, load_test }));
    }
    roles
}
