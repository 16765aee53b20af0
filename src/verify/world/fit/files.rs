//! `fixtures/rows/<schema>.<table>.sql`: a query that gives values where a condition defeats making them.
//!
//! It is one SELECT whose columns are named as the table's. `:n` stands for another whole number for each row, from 1
//! on, and `:uid` for the id, as text, of the account whose row it is to be. Keys, owners and references are not its
//! business; it gives the columns that the conditions ask about, and the server is asked whether they are met.

use crate::contract::project::ROWS;
use crate::contract::sql_text;
use crate::db::quote::{literal, readable_identifier};
use crate::model::catalog::{Catalog, Column, Table};
use crate::model::failure::{Failure, FailureKind};
use crate::model::source::{Place, SourceFile};

/// One file.
#[derive(Debug, Clone)]
pub(crate) struct RowFile {
    pub(crate) file: SourceFile,
    /// The query, without what ends it.
    pub(crate) sql: String,
}

/// The file for `table`, below the project. A slash, which no file's name can hold, is written as an underscore.
pub(crate) fn path(table: &Table) -> String {
    format!("{ROWS}/{}.sql", stem(table))
}

fn stem(table: &Table) -> String {
    format!("{}.{}", table.schema, table.table).replace(['/', '\0'], "_")
}

/// The file that is for `table`, if there is one.
///
/// # Errors
/// Usage where it is not one query.
pub(crate) fn of(table: &Table, files: &[SourceFile]) -> Result<Option<RowFile>, Failure> {
    let wanted = format!("{}.sql", stem(table));
    let Some(file) = files.iter().find(|file| name(file) == wanted) else { return Ok(None) };
    let sql = file.text.trim_end().trim_end_matches(';').to_owned();
    match sql_text::places(&sql, ":n") {
        Ok(_) => Ok(Some(RowFile { file: file.clone(), sql })),
        Err((span, why)) => Err(Failure::usage(format!("{} is not one query", file.path))
            .at(Place { file: file.clone(), span, label: why.to_owned() })
            .help("write one SELECT whose columns are named as the table's")),
    }
}

/// The name of a file without its folder.
fn name(file: &SourceFile) -> &str {
    file.path.rsplit(['/', '\\']).next().unwrap_or(&file.path)
}

/// What is wrong with the files themselves: one that is for no table is read by nobody.
///
/// # Errors
/// Usage, naming the file.
pub(crate) fn check(catalog: &Catalog, files: &[SourceFile]) -> Result<(), Failure> {
    let known = |file: &&SourceFile| catalog.tables.iter().any(|table| name(file) == format!("{}.sql", stem(table)));
    match files.iter().find(|file| !known(file)) {
        None => Ok(()),
        Some(file) => Err(Failure::usage(format!("{} is for no table that is verified", file.path))
            .help(format!("name it {ROWS}/<schema>.<table>.sql, as the table is named, or remove it"))),
    }
}

/// Why no row can be made, and the file that would mend it: for the columns that `condition`, if one is known, is about.
pub(crate) fn missing(table: &Table, what: String, columns: &[&Column], condition: Option<(&str, &str)>) -> Failure {
    let path = path(table);
    let failure = Failure::new(FailureKind::Inconclusive, what);
    let failure = match condition {
        Some((name, text)) => failure.note(format!("the condition {name} is: {text}")),
        None => failure,
    };
    failure
        .help(format!(
            "write {path}, one SELECT that gives values for the columns that the condition is about, such as\n{}",
            example(columns)
        ))
        .help("in it :n is another whole number for each row, and :uid the id of the account whose row it is to be")
        .help(format!("or exempt {} in policies/access.toml with a reason", table.name()))
}

/// A query that gives a value of the right type for each column.
fn example(columns: &[&Column]) -> String {
    let parts: Vec<String> =
        columns.iter().map(|column| format!("{} AS {}", sample(column), readable_identifier(&column.name))).collect();
    format!("SELECT {}", parts.join(", "))
}

fn sample(column: &Column) -> String {
    let cast = |text: &str| format!("{}::{}", literal(text).trim_start(), column.cast_type);
    if let Some(label) = column.enum_labels.first() {
        return if column.is_array {
            format!("ARRAY[{}]::{}", literal(label).trim_start(), column.cast_type)
        } else {
            cast(label)
        };
    }
    if column.is_array {
        return cast("{}");
    }
    match column.base_type.as_str() {
        "text" | "varchar" | "bpchar" | "citext" | "name" => "'made up ' || :n".to_owned(),
        "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" => ":n".to_owned(),
        "uuid" => "gen_random_uuid()".to_owned(),
        "bool" => "true".to_owned(),
        "timestamptz" | "timestamp" | "date" => {
            format!("(timestamp '2030-01-01' + :n * interval '1 day')::{}", column.cast_type)
        }
        "json" | "jsonb" => format!("json_build_object('n', :n)::{}", column.cast_type),
        _ => match super::super::values::value(column, 1) {
            Some(text) => cast(&text),
            None => format!("NULL::{}", column.cast_type),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_what_to_write() {
        let column = |name: &str, base_type: &str| Column {
            name: name.to_owned(),
            base_type: base_type.to_owned(),
            cast_type: base_type.to_owned(),
            ..Column::default()
        };
        let table = Table { schema: "a/b".to_owned(), table: "T".to_owned(), ..Table::default() };
        let columns = [column("code", "text"), column("Amount", "numeric"), column("at", "date")];
        let columns: Vec<&Column> = columns.iter().collect();
        let failure = missing(&table, "no row".to_owned(), &columns, Some(("sum", "code = x")));
        assert!(failure.helps()[0].starts_with("write fixtures/rows/a_b.T.sql, "), "{:?}", failure.helps());
        assert!(failure.helps()[0].ends_with(
            "SELECT 'made up ' || :n AS code, :n AS \"Amount\", (timestamp '2030-01-01' + :n * interval '1 day')::date AS at"
        ));
        assert_eq!(failure.notes(), ["the condition sum is: code = x"]);
    }

    #[test]
    fn a_file_that_is_for_no_table_is_an_error() {
        let table = Table { schema: "public".to_owned(), table: "t".to_owned(), ..Table::default() };
        let catalog = Catalog { tables: vec![table.clone()], ..Catalog::default() };
        let good = SourceFile::new("x/fixtures/rows/public.t.sql", "select :n as a;\n");
        assert!(check(&catalog, std::slice::from_ref(&good)).is_ok());
        assert_eq!(of(&table, std::slice::from_ref(&good)).unwrap().unwrap().sql, "select :n as a");
        let bad = SourceFile::new("fixtures/rows/public.T.sql", "select 1");
        assert!(check(&catalog, &[bad]).unwrap_err().what().contains("public.T.sql is for no table"));
        let two = SourceFile::new("fixtures/rows/public.t.sql", "select 1; select 2");
        assert!(of(&table, &[two]).is_err());
    }
}
