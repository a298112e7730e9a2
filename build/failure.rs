//! Why the build stops.

/// The step that failed, the reason, the place in the document, and what to do about it.
#[derive(Debug, Clone)]
pub struct Failure {
    step: &'static str,
    reason: String,
    /// A JSON pointer; nothing if it is the whole document.
    place: String,
    remedy: String,
}

impl Failure {
    pub fn new(step: &'static str, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            step,
            reason: reason.into(),
            place: String::new(),
            remedy: remedy.into(),
        }
    }

    pub fn at(self, place: impl Into<String>) -> Self {
        let place = place.into();
        Self { place, ..self }
    }

    /// One line, since a directive for cargo has no more.
    pub fn line(&self, file: &str) -> String {
        let Self {
            step,
            reason,
            place,
            remedy,
        } = self;
        let at = if place.is_empty() { "" } else { " at " };
        let (file, reason) = (short(file, 300), short(reason, 300));
        let (place, remedy) = (short(place, 300), short(remedy, 500));
        format!("{file}: cannot {step}: {reason}{at}{place}. {remedy}")
    }
}

/// On one line, and of at most so many characters: the generator may print a whole syntax tree.
pub fn short(text: &str, most: usize) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.retain(|c| !c.is_control());
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.replace_range(end.., "…");
    }
    text
}
