//! Whether a download goes on where it stopped: only if what comes is provably the same file.

use serde::{Deserialize, Serialize};

use super::checksums::Digest;
use super::location::Location;

/// By what a server tells one version of a file from another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Validators {
    /// RFC 9110 §8.8.3, weak ones too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    /// RFC 9110 §8.8.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_modified: Option<String>,
}

/// What lies beside a file that is only partly there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Partial {
    /// Where it comes from.
    pub(super) url: Location,
    /// What the whole has to hash to, as was known when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<Digest>,
    /// Length of the whole in bytes.
    pub(super) total: u64,
    /// Which version it is a part of.
    #[serde(flatten)]
    pub(super) validators: Validators,
}

/// The part of a response that says what its body is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    /// In bytes.
    pub(super) length: Option<u64>,
    pub(super) content_range: Option<String>,
    pub(super) validators: Validators,
}

/// What a body is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// The file from its beginning; its length in bytes where the server says it.
    Whole(Option<u64>),
    /// The rest of what is here.
    Rest,
    /// Neither: what is here is worth nothing, and the file has to be asked for anew.
    Stale,
}

impl Validators {
    /// What `If-Range` may have: RFC 9110 §13.1.5 wants a strong validator. A time of change has a resolution of a second, which
    /// is good enough for files that change once a day; and all is compared with a digest in the end.
    pub(super) fn strong(&self) -> Option<&str> {
        let etag = self.etag.as_deref().filter(|etag| etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'));
        match (etag, &self.etag) {
            (Some(etag), _) => Some(etag),
            // Who calls its own tag weak does not vouch for bytes.
            (None, Some(_)) => None,
            (None, None) => self.last_modified.as_deref(),
        }
    }

    /// Whether both are there and the same, and so the file is.
    pub(crate) fn prove_the_same(&self, other: &Self) -> bool {
        match (&self.etag, &other.etag) {
            (Some(a), Some(b)) => a.trim_start_matches("W/") == b.trim_start_matches("W/"),
            _ => self.last_modified.is_some() && self.last_modified == other.last_modified,
        }
    }
}

/// What the body of a successful response is, to whoever asked for the rest after `have` bytes of `partial`, if anything.
pub(super) fn judge(head: &Head, asked: Option<(&Partial, u64)>) -> Body {
    match (head.status, asked) {
        (206, Some((partial, have))) => {
            let expected = format!("bytes {have}-{}/{}", partial.total.saturating_sub(1), partial.total);
            let is_the_rest = head.content_range.as_deref() == Some(&*expected);
            let contradicts = |ours: &Option<String>, theirs: &Option<String>| theirs.is_some() && ours != theirs;
            let is_another = contradicts(&partial.validators.etag, &head.validators.etag)
                || contradicts(&partial.validators.last_modified, &head.validators.last_modified);
            if is_the_rest && !is_another { Body::Rest } else { Body::Stale }
        }
        // A part that nobody asked for, or the end of a file that is shorter than what is here.
        (206 | 416, _) => Body::Stale,
        _ => Body::Whole(head.length),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_strong_validator_proves_anything() {
        let strong = |etag: Option<&str>, time: Option<&str>| {
            let validators = Validators { etag: etag.map(str::to_owned), last_modified: time.map(str::to_owned) };
            validators.strong().map(str::to_owned)
        };

        assert_eq!(strong(Some("\"a\""), Some("Mon")), Some("\"a\"".to_owned()));
        assert_eq!(strong(Some("W/\"a\""), Some("Mon")), None);
        assert_eq!(strong(Some("\"\""), None), None);
        assert_eq!(strong(None, Some("Mon")), Some("Mon".to_owned()));
        assert_eq!(strong(None, None), None);
    }

    #[test]
    fn the_rest_is_taken_only_from_the_same_file() {
        let partial = partial(100);
        let asked = Some((&partial, 40));
        let rest = Head {
            status: 206,
            length: Some(60),
            content_range: Some("bytes 40-99/100".to_owned()),
            validators: partial.validators.clone(),
        };
        let with = |change: &dyn Fn(&mut Head)| {
            let mut head = rest.clone();
            change(&mut head);
            judge(&head, asked)
        };

        assert_eq!(with(&|_| ()), Body::Rest);
        assert_eq!(with(&|head| head.validators = Validators::default()), Body::Rest, "it honoured If-Range");
        assert_eq!(with(&|head| head.validators.etag = Some("\"b\"".to_owned())), Body::Stale);
        assert_eq!(with(&|head| head.content_range = Some("bytes 40-98/99".to_owned())), Body::Stale);
        assert_eq!(with(&|head| head.content_range = Some("bytes 41-99/100".to_owned())), Body::Stale);
        assert_eq!(with(&|head| head.content_range = Some("bytes 40-99/*".to_owned())), Body::Stale);
        assert_eq!(with(&|head| head.content_range = None), Body::Stale);
        assert_eq!(with(&|head| head.status = 416), Body::Stale);
        assert_eq!(with(&|head| (head.status, head.length) = (200, Some(7))), Body::Whole(Some(7)));
        assert_eq!(judge(&rest, None), Body::Stale, "nobody asked for a part");
    }

    proptest! {
        #[test]
        fn a_body_is_never_put_where_it_does_not_belong(
            status in prop_oneof![Just(200u16), Just(206), Just(416)], range in "bytes [0-9]{1,3}-[0-9]{1,3}/[0-9]{1,3}",
            have in 1u64..100,
        ) {
            let partial = partial(100);
            let head = Head { status, content_range: Some(range.clone()), ..Head::default() };

            let body = judge(&head, Some((&partial, have)));

            prop_assert_eq!(body == Body::Rest, status == 206 && range == format!("bytes {have}-99/100"));
        }
    }

    fn partial(total: u64) -> Partial {
        let validators = Validators { etag: Some("\"a\"".to_owned()), last_modified: None };
        Partial { url: "https://h/a.img".parse().expect("a location"), digest: None, total, validators }
    }
}
