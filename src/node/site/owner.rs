//! Whose a site is: what it says of itself, held against the chain of who it names.

use super::Site;
use crate::node::Node;
use crate::node::error::Result;
use crate::proto::identity::record;
use crate::proto::identity::site::{Claim, MAX_LEN, PATH, Standing};
use crate::proto::name::Name;
use crate::rt;
use crate::store::Store;

/// Whose a site says it is, and whether that is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteOwner {
    /// What the site says.
    pub claim: Claim,
    /// What the chain of that identity says of the name.
    pub standing: Standing,
}

impl<S: Store> Node<S> {
    /// Whose the site under `name` is, of which `site` is a version; `None` if it does not say so, or says it in no readable way. Looks the chain
    /// of that identity up each time: one that nobody reachable has, or that does not hold, proves nothing.
    ///
    /// # Errors
    /// `NotFound` or `NoRelay` if the site's file cannot be had now or too much is looked up, `Store`, `Closed`.
    pub async fn site_owner(&self, site: &Site<S>, name: Name) -> Result<Option<SiteOwner>> {
        let Some(entry) = site
            .manifest()
            .get(PATH)
            .filter(|entry| entry.size <= MAX_LEN as u64)
        else {
            return Ok(None);
        };
        let said = site.read(&entry, 0, MAX_LEN as u64).await?;
        let Some(claim) = Claim::parse(&said) else {
            return Ok(None);
        };
        let key = record::routing_key(claim.id);
        let found = self.custody().record(&key).await?;
        let values: Vec<_> = found.iter().map(|value| &value[..]).collect();
        let now = rt::unix_millis() / 1000;
        let best = record::select(&key, &values, now);
        let chain = best.and_then(|best| record::validate(&key, values[best], None, now).ok());
        let standing = chain.map_or(Standing::Unknown, |chain| claim.standing(&chain, name));
        Ok(Some(SiteOwner { claim, standing }))
    }
}
