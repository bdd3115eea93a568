//! Sites that hang from an identity: a site says whose it is, in a file of its own, and the chain of that identity says under which name it is
//! published now. Neither is believed without the other.

use super::chain::Chain;
use super::op::Act;
use super::{Id, Key, SCHEME};
use crate::proto::name::Name;

/// Where a site says whose it is.
pub const PATH: &str = ".well-known/gyre-identity";

/// Most bytes of it: `dmail:`, 52 letters, a space, ten digits, and room for a line's end.
pub const MAX_LEN: usize = 80;

/// What a site says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Whose it is.
    pub id: Id,
    /// Which of their sites.
    pub site: u32,
}

/// What a chain says of a name that claims to be a site of its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is published under this name.
    Here,
    /// It was, and is published under another now.
    Moved(Name),
    /// It was, and is not any more; or the identity was given up.
    Withdrawn,
    /// It never was.
    Unknown,
}

impl Claim {
    /// Reads `dmail:<id> <number>`, with or without a line's end; `None` for anything else.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes.get(..bytes.len().min(MAX_LEN + 1))?).ok()?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let (id, site) = text.split_once(' ')?;
        let digits = !site.is_empty() && site.bytes().all(|digit| digit.is_ascii_digit());
        let canonical = digits && (site == "0" || !site.starts_with('0'));
        let id = id.strip_prefix(SCHEME)?;
        match canonical && text.len() <= MAX_LEN {
            true => Some(Self {
                id: Id::parse(id)
                    .ok()
                    .filter(|parsed| parsed.to_string() == id)?,
                site: site.parse().ok()?,
            }),
            false => None,
        }
    }

    /// As it stands in the file.
    pub fn to_text(&self) -> String {
        format!("{SCHEME}{} {}\n", self.id, self.site)
    }

    /// What this chain says of a site that claims it under `name`. A name that the chain once gave to the site leads on to the one that it
    /// gives now, so a reader of the old one needs to remember nothing.
    pub fn standing(&self, chain: &Chain, name: Name) -> Standing {
        let ours = |op: &super::op::Op| match *op.act() {
            Act::SetSite { site, key } => site == self.site && key == Some(Key::from(name)),
            _ => false,
        };
        if chain.id() != self.id || !chain.ops().iter().any(ours) {
            return Standing::Unknown;
        }
        match chain.state().sites.get(&self.site) {
            _ if chain.state().ended => Standing::Withdrawn,
            None => Standing::Withdrawn,
            Some(key) if *key == Key::from(name) => Standing::Here,
            Some(key) => Standing::Moved(Name(key.0)),
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::proto::identity::owner::Owner;
    use crate::proto::keys::RootSecret;

    #[test]
    fn a_name_is_a_sites_for_as_long_as_the_chain_says_so() {
        let root = RootSecret::new([7; 32]);
        let owner = Owner::new(&root, 0);
        let [old, new, strange] = [0, 1, 2].map(|number| root.site_key(number).name());
        let mut chain = owner.begin();
        let claim = Claim {
            id: owner.id(),
            site: 3,
        };
        let set = |chain: &mut Chain, site, name: Option<Name>| {
            let key = name.map(Key::from);
            owner
                .act(chain, 1_800_000_000, Act::SetSite { site, key })
                .unwrap();
        };
        assert_eq!(claim.standing(&chain, old), Standing::Unknown);
        set(&mut chain, 3, Some(old));
        set(&mut chain, 4, Some(strange));
        assert_eq!(claim.standing(&chain, old), Standing::Here);
        // Another site of the same person is not this one.
        assert_eq!(claim.standing(&chain, strange), Standing::Unknown);
        set(&mut chain, 3, Some(new));
        assert_eq!(claim.standing(&chain, old), Standing::Moved(new));
        assert_eq!(claim.standing(&chain, new), Standing::Here);
        let other = RootSecret::new([8; 32]);
        let theirs = Claim {
            id: Owner::new(&other, 0).id(),
            site: 3,
        };
        assert_eq!(theirs.standing(&chain, new), Standing::Unknown);
        let mut withdrawn = chain.clone();
        set(&mut withdrawn, 3, None);
        assert_eq!(claim.standing(&withdrawn, new), Standing::Withdrawn);
        owner.end(&mut chain, 1_800_000_000).unwrap();
        assert_eq!(claim.standing(&chain, new), Standing::Withdrawn);
    }

    #[test]
    fn a_claim_has_one_spelling() {
        let claim = Claim {
            id: Id([9; 32]),
            site: 42,
        };
        let text = claim.to_text();
        assert_eq!(Claim::parse(text.as_bytes()), Some(claim));
        assert_eq!(Claim::parse(text.trim_end().as_bytes()), Some(claim));
        for wrong in [
            text.replace(" 42", " 042"),
            text.replace(" 42", ""),
            text.replace(" 42", " +42"),
            text.replace(" 42", " 4294967296"),
            text.replace("dmail:", ""),
            text.to_uppercase(),
            format!("{text}\n"),
            format!(" {text}"),
        ] {
            assert_eq!(Claim::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..100), site: u32, id: [u8; 32]) {
            if let Some(claim) = Claim::parse(&bytes) {
                prop_assert_eq!(Claim::parse(claim.to_text().as_bytes()), Some(claim));
            }
            let claim = Claim { id: Id(id), site };
            prop_assert_eq!(Claim::parse(claim.to_text().as_bytes()), Some(claim));
        }
    }
}
