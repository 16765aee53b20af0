//! Membership: what a role is a member of, it can become, and mostly has the rights of. Groups that only carry grants
//! and policies are tried as what they give; those that are more than that are told here.

use super::rights::Told;
use super::site::Site;
use super::{Fault, Probe, Probed};
use crate::db::quote::readable_identifier;
use crate::model::failure::Failure;
use crate::model::finding::Reach;
use serde::Deserialize;

pub(super) const PROBE: Probe = Probe {
    name: "group-membership",
    about: "no role of an untrusted actor is a member of one that owns, bypasses row security or makes roles",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// A role, and one that it is a member of.
#[derive(Debug, Deserialize)]
struct Membership {
    role: String,
    of: String,
    inherits: bool,
    superuser: bool,
    bypasses_rls: bool,
    makes_roles: bool,
    predefined: bool,
    owns: u64,
}

impl Membership {
    /// What the group is more than a group, if anything.
    fn more(&self, site: &Site<'_>) -> Option<String> {
        let actor = site.setting.contract.actors.iter().find(|actor| actor.role == self.of);
        let reasons = [
            (self.superuser, "is a superuser".to_owned()),
            (self.bypasses_rls, "bypasses row security".to_owned()),
            (self.makes_roles, "may make and grant roles".to_owned()),
            (self.predefined, "is one of PostgreSQL's own, with rights on all tables or on the server".to_owned()),
            (self.owns > 0, format!("owns {} objects here", self.owns)),
            (actor.is_some(), format!("is the role of actor {}", actor.map_or("", |actor| &actor.name))),
        ];
        let reasons: Vec<String> = reasons.into_iter().filter(|(holds, _)| *holds).map(|(_, reason)| reason).collect();
        (!reasons.is_empty()).then(|| reasons.join(", "))
    }
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let memberships: Vec<Membership> = site.catalogue(include_str!("group_membership.sql")).await?;
    let mut probed = Probed { tried: site.roles().len(), ..Probed::default() };
    for membership in memberships {
        let Some(more) = membership.more(site) else { continue };
        let Membership { role, of, inherits, owns, predefined, .. } = &membership;
        let told = Told {
            what: format!("{role} is a member of {of}, which {more}"),
            object: format!("role {role} in {of}"),
            access: None,
            why: if *inherits {
                "its rights hold for every request of the member, and SET ROLE makes the member that role"
            } else {
                "SET ROLE makes the member that role"
            },
            remedy: format!("REVOKE {} FROM {}", readable_identifier(of), readable_identifier(role)),
            // Attributes are not inherited, only rights are: those of an owner are.
            reach: if *inherits && (*owns > 0 || *predefined) { Reach::Api } else { Reach::Sql },
            shown_by: format!(
                "SELECT pg_has_role({}, {}, 'MEMBER')",
                crate::db::quote::literal(role),
                crate::db::quote::literal(of)
            ),
        };
        probed.holes.push(told.hole());
    }
    Ok(probed)
}
