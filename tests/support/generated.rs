//! Projects of as many tables as are asked for, all of the same few kinds: for what grows with their number.

use std::fmt::Write;
use std::fs;

/// The folder of a project of so many tables, each with four policies: of three in a row the third hangs on the second,
/// and the others have owners. Names are equally long.
pub(crate) fn project(tables: usize) -> tempfile::TempDir {
    let mut sql = String::from(
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM anon, authenticated, service_role;\n",
    );
    let mut contract = String::from(
        "version = 1\n[api]\nschemas = [\"public\"]\npre_request = \"none\"\n[actors.anon]\nrole = \"anon\"\n\
         [actors.user]\nrole = \"authenticated\"\n[actors.service]\nrole = \"service_role\"\nbypasses_rls = true\n",
    );
    for number in 0..tables {
        let name = format!("t{number:03}");
        let (column, path, own) = if number % 3 == 2 {
            let parent = format!("t{:03}", number - 1);
            (
                format!("parent uuid NOT NULL REFERENCES {parent} (id) ON DELETE CASCADE"),
                format!("parent -> {parent}.id"),
                format!("EXISTS (SELECT 1 FROM {parent} p WHERE p.id = parent AND p.owner = (SELECT auth.uid()))"),
            )
        } else {
            ("owner uuid NOT NULL".to_owned(), "owner".to_owned(), "owner = (SELECT auth.uid())".to_owned())
        };
        write!(
            sql,
            "CREATE TABLE {name} (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), {column}, body text, n integer);\n\
             ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;\n\
             CREATE POLICY s ON {name} FOR SELECT TO authenticated USING ({own});\n\
             CREATE POLICY i ON {name} FOR INSERT TO authenticated WITH CHECK ({own});\n\
             CREATE POLICY u ON {name} FOR UPDATE TO authenticated USING ({own}) WITH CHECK ({own});\n\
             CREATE POLICY d ON {name} FOR DELETE TO authenticated USING ({own});\n\
             GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO authenticated;\nGRANT ALL ON {name} TO service_role;\n"
        )
        .unwrap();
        write!(
            contract,
            "[tables.{name}]\nowner = \"{path}\"\nuser = {{ own = [\"select\", \"insert\", \"update\", \"delete\"] }}\n"
        )
        .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("migrations")).unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("migrations/V001__generated.sql"), sql).unwrap();
    fs::write(folder.path().join("policies/access.toml"), contract).unwrap();
    folder
}
