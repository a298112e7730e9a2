//! stand-in
#[derive(Default)]
pub(crate) struct Hidden(Vec<String>);
impl Hidden {
    pub fn key(&mut self, t: &str) {
        self.0.push(t.into())
    }
    pub fn value(&mut self, t: &str) {
        self.0.push(t.trim_start_matches('+').into())
    }
    pub fn secret(&mut self, t: &str) {
        self.0.push(t.into())
    }
    pub fn text(&mut self, t: &str) {
        self.0.push(t.into())
    }
}
pub(crate) fn message(body: &[u8], hidden: &Hidden) -> Option<String> {
    let v: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(blank(v["message"].as_str()?, hidden))
}
pub(crate) fn blank(text: &str, hidden: &Hidden) -> String {
    hidden
        .0
        .iter()
        .fold(text.to_owned(), |m, t| m.replace(t, "[hidden]"))
}
