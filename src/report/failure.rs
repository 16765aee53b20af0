//! A failure for people: what, the source line with a caret, causes, and what to do next.

use crate::model::failure::Failure;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// The failure as text for a terminal, with colours (dropped by the stream where it is no terminal).
pub fn render(failure: &Failure) -> String {
    let title = Level::ERROR.primary_title(failure.what());
    let mut group = match failure.place() {
        Some(place) => {
            let end = place.span.end.min(place.file.text.len());
            let span = place.span.start.min(end)..end;
            let annotation = AnnotationKind::Primary.span(span);
            let annotation = if place.label.is_empty() { annotation } else { annotation.label(place.label.as_str()) };
            title.element(Snippet::source(&*place.file.text).path(place.file.path.as_str()).annotation(annotation))
        }
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
