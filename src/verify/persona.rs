//! The people of the worlds: who tries, who owns the rows that are tried.

mod further;

use crate::db::impersonate::{self, Parameter};
use crate::model::access::{Actor, Contract};
use crate::model::catalog::Catalog;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Ids of people and rows are made from this, so that every run makes the same ones.
const NAMESPACE: Uuid = Uuid::from_u128(0x6368_6172_7463_4865_6b2d_6462_0000_0001);

/// One holder of a token.
#[derive(Debug, Clone)]
pub struct Persona {
    /// `user`, `user-without-rows`, `second-user`, …
    pub name: String,
    /// The contract's actor.
    pub actor: Actor,
    /// The account's id; actors that are no people have none.
    pub uid: Option<String>,
    /// The token's claims, as JSON text.
    pub claims: String,
    /// Whether the worlds hold rows of this account.
    pub has_rows: bool,
    /// Whether attempts are made as this persona; otherwise it only owns rows and shows that statements work.
    pub tries: bool,
    /// Whether only the plainest statements are tried as this persona: it shows what a token of this kind reaches, and
    /// not again what every form does.
    pub narrow: bool,
    /// Whether there is such an account; otherwise the token is of one that is nowhere (any more).
    pub exists: bool,
    /// The parameters that make a transaction a request of this persona.
    pub parameters: Vec<Parameter>,
    /// The statement that sets them.
    pub become_sql: String,
}

impl Persona {
    /// Whether it tries and is not trusted, and is no token out of the ordinary.
    pub fn knocks(&self) -> bool {
        self.tries && !self.narrow && !self.actor.bypasses_rls
    }

    /// The address in its token.
    pub fn email(&self) -> Option<String> {
        let claims: Value = serde_json::from_str(&self.claims).ok()?;
        Some(claims.get("email")?.as_str()?.to_owned())
    }

    /// The id to compare owners with: nobody's where the persona has none.
    pub fn uid_or_nobody(&self) -> &str {
        self.uid.as_deref().unwrap_or("00000000-0000-0000-0000-000000000000")
    }
}

/// A stable id for `name`.
pub fn stable_id(name: &str) -> String {
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
}

/// Everyone: each actor of the contract, and for the first that is promised rows of its own (else the first that is a
/// person, else the first) a second account, whose rows are "other", one without rows, and a third that neither tries
/// nor has rows: where an account can have but one, a row can still be given to it; and tokens out of the ordinary.
pub fn cast(contract: &Contract, catalog: &Catalog) -> Vec<Persona> {
    let mut personas: Vec<Persona> = Vec::new();
    let mut main_person: Option<&Actor> = None;
    for actor in &contract.actors {
        let person = contract.is_person(actor);
        personas.push(persona(&actor.name, actor, person, person, true, catalog));
        if person && main_person.is_none() && contract.promises_own(actor) {
            main_person = Some(actor);
        }
    }
    // Where nobody is promised rows of their own there still are two whose rows nobody else may reach.
    let person = contract.actors.iter().find(|actor| contract.is_person(actor));
    let main_person = main_person.or(person).or_else(|| {
        // Whoever has a token rather than who has none.
        contract.actors.iter().filter(|actor| !actor.bypasses_rls).min_by_key(|actor| actor.role == "anon")
    });
    if let Some(actor) = main_person {
        personas.push(persona(&format!("{}-without-rows", actor.name), actor, true, false, true, catalog));
        personas.push(persona(&format!("second-{}", actor.name), actor, true, true, false, catalog));
        personas.push(persona(&format!("third-{}", actor.name), actor, true, false, false, catalog));
        let account = personas.iter().find(|persona| persona.name == actor.name && persona.uid.is_some());
        let further = further::cast(contract, catalog, actor, account);
        personas.extend(further);
    }
    personas
}

fn persona(name: &str, actor: &Actor, person: bool, has_rows: bool, tries: bool, catalog: &Catalog) -> Persona {
    let uid = person.then(|| stable_id(&format!("account of {name}")));
    let claims = Value::Object(claims(name, actor, uid.as_deref())).to_string();
    let settings = catalog.role(&actor.role).map(|role| role.settings.as_slice()).unwrap_or_default();
    let parameters = impersonate::request(&actor.role, &claims, settings);
    Persona {
        name: name.to_owned(),
        actor: actor.clone(),
        uid,
        claims,
        has_rows,
        tries,
        narrow: false,
        exists: true,
        become_sql: impersonate::set(&parameters),
        parameters,
    }
}

/// The claims of a token as the authentication server issues them, and over them those of the contract.
fn claims(name: &str, actor: &Actor, uid: Option<&str>) -> Map<String, Value> {
    let mut claims = Map::new();
    if let Some(uid) = uid {
        let issued = json!({
            "aud": "authenticated",
            "exp": 4_102_444_800_u64,
            "iat": 1_700_000_000_u64,
            "sub": uid,
            "email": format!("{name}@example.test"),
            "phone": "",
            "aal": "aal1",
            "amr": [{"method": "password", "timestamp": 1_700_000_000_u64}],
            "session_id": stable_id(&format!("session of {name}")),
            "app_metadata": {"provider": "email", "providers": ["email"]},
            "user_metadata": {},
        });
        if let Value::Object(issued) = issued {
            claims = issued;
        }
        claims.extend(actor.claims.clone());
    }
    claims.insert("role".to_owned(), Value::String(actor.role.clone()));
    claims
}
