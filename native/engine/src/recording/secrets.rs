//! Values that were taken out of a request, to be taken out of texts that repeat them.

/// Values that are remembered of one call; of more, every text is hidden.
const MOST: usize = 256;
/// Characters from which a value is hidden inside of words, too.
const WITHIN_WORDS: usize = 4;
/// Digits from which a number is hidden.
const DIGITS: usize = 3;
const HIDDEN: &str = "[redacted]";
/// Pydantic repeats a value that it refuses, shortened, between these two.
const INPUT: (&str, &str) = ("input_value=", ", input_type=");

/// Texts and numbers that were taken out.
#[derive(Debug, Default)]
pub struct Secrets {
    texts: Vec<String>,
    /// There were more than are remembered, or some could not be read.
    many: bool,
}

impl Secrets {
    /// Whether nothing was taken out.
    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_empty() && !self.many
    }

    /// Hides every text from now on.
    pub(crate) fn hide_all(&mut self) {
        self.many = true;
    }

    /// Remembers a text, also as it is written in quotes.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        if text.trim().chars().count() < 2 || text == HIDDEN {
            return;
        }
        let quoted = text.chars().flat_map(|one| {
            if matches!(one, '\'' | '"') { vec![one] } else { one.escape_default().collect() }
        });
        self.push(quoted.collect());
        self.push(text.escape_debug().collect());
        self.push(text.into_owned());
    }

    /// Remembers a number, if it is not one of those that stand everywhere.
    pub(crate) fn add_number(&mut self, number: i128) {
        if number.unsigned_abs() >= 10_u128.pow(DIGITS as u32 - 1) {
            self.push(number.to_string());
        }
    }

    fn push(&mut self, text: String) {
        if self.texts.len() >= MOST {
            self.many = true;
        } else if !self.texts.contains(&text) {
            // The longest first: one may be a part of another.
            let place = self.texts.partition_point(|other| other.len() >= text.len());
            self.texts.insert(place, text);
        }
    }

    /// Whether a number was taken out.
    pub(crate) fn has_number(&self, number: i128) -> bool {
        !self.is_empty() && self.texts.contains(&number.to_string())
    }

    /// A text without what was taken out; `None` if it is as it was.
    pub fn hidden(&self, text: &str) -> Option<String> {
        if self.many {
            return (!text.is_empty()).then(|| HIDDEN.to_owned());
        }
        let mut hidden = without_inputs(text);
        for secret in &self.texts {
            let now = hidden.as_deref().unwrap_or(text);
            if now.contains(secret.as_str()) {
                hidden = Some(without(now, secret));
            }
        }
        hidden.filter(|hidden| hidden != text)
    }
}

/// A text without another; of a short one or a number, where it stands by itself.
fn without(text: &str, secret: &str) -> String {
    let alone = secret.chars().count() < WITHIN_WORDS
        || secret.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let (mut out, mut rest, mut before) = (String::with_capacity(text.len()), text, None);
    while let Some(at) = rest.find(secret) {
        let (head, tail) = rest.split_at(at);
        let tail = &tail[secret.len()..];
        let last = head.chars().next_back().or(before);
        let within = |one: Option<char>| one.is_some_and(char::is_alphanumeric);
        out.push_str(head);
        out.push_str(if alone && (within(last) || within(tail.chars().next())) { secret } else { HIDDEN });
        before = secret.chars().next_back();
        rest = tail;
    }
    out + rest
}

/// A text without the values that Pydantic's errors repeat.
fn without_inputs(text: &str) -> Option<String> {
    if !text.contains(INPUT.0) {
        return None;
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((head, tail)) = rest.split_once(INPUT.0) {
        let line = tail.split_once('\n').map_or(tail, |(line, _)| line);
        // The last one: the value itself may hold the same words.
        let end = line.rfind(INPUT.1).unwrap_or(line.len());
        out.push_str(head);
        out.push_str(INPUT.0);
        out.push_str(HIDDEN);
        rest = &tail[end..];
    }
    Some(out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(texts: &[&str], numbers: &[i128]) -> Secrets {
        let mut secrets = Secrets::default();
        for text in texts {
            secrets.add(text.as_bytes());
        }
        for number in numbers {
            secrets.add_number(*number);
        }
        secrets
    }

    #[test]
    fn values_are_hidden_wherever_a_text_repeats_them() {
        let secrets = secrets(&["hunter2", "ab", "a", "it's\nso", ""], &[4711, -120, 7]);
        for (text, want) in [
            ("bad password 'hunter2'!", "bad password '[redacted]'!"),
            ("xhunter2x", "x[redacted]x"),
            ("ab about ab", "[redacted] about [redacted]"),
            ("a pin of 4711, not 14711", "a pin of [redacted], not 14711"),
            ("at -120 and 7", "at [redacted] and 7"),
            ("said \"it's\\nso\"", "said \"[redacted]\""),
            ("said 'it\\'s\\nso'", "said '[redacted]'"),
            ("it's\nso", "[redacted]"),
        ] {
            assert_eq!(secrets.hidden(text).as_deref(), Some(want), "{text}");
        }
        assert_eq!(secrets.hidden("nothing of it"), None);
    }

    #[test]
    fn what_pydantic_repeats_is_hidden_even_if_it_is_shortened() {
        let text = "a\n  bad [type=x, input_value='hunt...r2', input_type=str]\n  bad [type=y, input_value={}, input_type=dict]";
        let want = "a\n  bad [type=x, input_value=[redacted], input_type=str]\n  bad [type=y, input_value=[redacted], input_type=dict]";
        assert_eq!(Secrets::default().hidden(text).as_deref(), Some(want));
    }

    #[test]
    fn of_too_many_values_every_text_is_hidden() {
        let mut secrets = Secrets::default();
        (0..1_000).for_each(|number| secrets.add(format!("value {number}").as_bytes()));
        assert_eq!(secrets.hidden("anything").as_deref(), Some("[redacted]"));
        assert_eq!(secrets.hidden(""), None);
    }
}
