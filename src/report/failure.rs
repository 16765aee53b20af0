//! A failure for people: what, the source line with a caret, causes, and what to do next; and the line alone.

use crate::model::failure::Failure;
use crate::model::source::Place;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

/// The failure as text for a terminal, with colours (dropped by the stream where it is no terminal).
pub fn render(failure: &Failure) -> String {
    let title = Level::ERROR.primary_title(failure.what());
    let mut group = match failure.place() {
        Some(place) => title.element(snippet(place)),
        None => Group::with_title(title),
    };
    for note in failure.notes() {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    for help in failure.helps() {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    format!("{}\n", Renderer::styled().render(&[group]))
}

/// The path and the line of a place, with a caret under what is meant: as failures show theirs.
pub(super) fn shown(place: &Place) -> String {
    format!("{}\n", Renderer::styled().render(&[Group::with_level(Level::NOTE).element(snippet(place))]))
}

fn snippet(place: &Place) -> Snippet<'_, Annotation<'_>> {
    let end = place.span.end.min(place.file.text.len());
    let annotation = AnnotationKind::Primary.span(place.span.start.min(end)..end);
    let annotation = if place.label.is_empty() { annotation } else { annotation.label(place.label.as_str()) };
    Snippet::source(&*place.file.text).path(place.file.path.as_str()).annotation(annotation)
}
