//! Every fault fires where it is planted, and none in the project's own contract.

use chartchek_db::contract::{parse, project};

#[test]
fn the_projects_own_contract_is_silent() {
    let project = project::find(None, true).unwrap();
    let contract = parse::parse(&project.contract).unwrap();
    assert_eq!(contract.tables.len(), 9);
    assert_eq!(contract.actors.len(), 5);
    let admin = contract.actor("admin").unwrap();
    assert_eq!(admin.role, "authenticated");
    assert_eq!(admin.claims["is_anonymous"], false);
    assert_eq!(admin.claims["app_metadata"]["role"], "admin");
}
