//! The open routes.

use crate::protocol::Route;

/// A set of routes, written as their labels and the groups `openai`, `anthropic`, `manage` and `account`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// One bit for each route, by its index.
    routes: u64,
}

/// A word that is neither the label of a route nor a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a route or a group of routes")]
pub struct NoSuchRoute(pub String);

/// Words that stand for several routes.
const GROUPS: [(&str, &[Route]); 4] = [
    (
        "openai",
        &[
            Route::OpenaiChat,
            Route::OpenaiCompletions,
            Route::OpenaiResponses,
            Route::OpenaiEmbeddings,
            Route::OpenaiModels,
            Route::OpenaiTranscriptions,
            Route::OpenaiResponsesCompact,
            Route::OpenaiImagesGenerations,
            Route::OpenaiImagesEdits,
        ],
    ),
    ("anthropic", &[Route::AnthropicMessages]),
    ("manage", &[Route::Pull, Route::Push, Route::Create, Route::Copy, Route::Delete, Route::Blobs]),
    ("account", &[Route::Status, Route::Me, Route::Signout, Route::UserKeys, Route::Experimental]),
];

impl Access {
    /// Every route, `other` and `v1_other` included.
    pub const ALL: Access = Access { routes: u64::MAX };

    /// The routes of these words. `other` and `v1_other` are in no group, so that they are open only if they are
    /// named.
    ///
    /// # Errors
    /// The first word that is neither a label nor a group.
    ///
    /// ```
    /// use streamgauge::{admission::Access, protocol::Route};
    ///
    /// let access = Access::of(["chat", "openai"])?;
    /// assert!(access.allows(Route::OpenaiChat) && !access.allows(Route::Delete));
    /// # Ok::<(), streamgauge::admission::NoSuchRoute>(())
    /// ```
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Access, NoSuchRoute> {
        let mut routes = 0_u64;
        for word in words {
            let group = GROUPS.iter().find(|(name, _)| *name == word).map(|(_, group)| *group);
            let label = Route::from_label(word);
            let named = match (group, &label) {
                (Some(group), _) => group,
                (None, Some(route)) => std::slice::from_ref(route),
                (None, None) => return Err(NoSuchRoute(word.to_owned())),
            };
            routes |= named.iter().fold(0, |bits, route| bits | 1 << route.index());
        }
        Ok(Access { routes })
    }

    /// Every word that [`Access::of`] accepts.
    pub fn words() -> impl Iterator<Item = &'static str> {
        Route::ALL.into_iter().map(Route::label).chain(GROUPS.iter().map(|(name, _)| *name))
    }

    /// The labels of the routes, or `None` for all routes.
    #[must_use]
    pub fn labels(&self) -> Option<Vec<&'static str>> {
        let open = |route: &Route| self.allows(*route);
        (*self != Access::ALL).then(|| Route::ALL.into_iter().filter(open).map(Route::label).collect())
    }

    /// Whether the route is open.
    #[must_use]
    pub const fn allows(&self, route: Route) -> bool {
        self.routes & 1 << route.index() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_list_closes_every_route_that_it_does_not_name() {
        let access = Access::of(["chat", "manage"]).unwrap();
        let open: Vec<_> = Route::ALL.into_iter().filter(|route| access.allows(*route)).collect();
        let expected =
            [Route::Chat, Route::Pull, Route::Push, Route::Create, Route::Blobs, Route::Copy, Route::Delete];
        assert_eq!(open, expected);
        assert!(Access::ALL.allows(Route::Other) && Access::ALL.allows(Route::V1Other));
        assert_eq!(Access::of(["chat", "chats"]), Err(NoSuchRoute("chats".to_owned())));
    }

    #[test]
    fn access_group_account_contains_the_account_routes() {
        let access = Access::of(["account"]).unwrap();
        for route in Route::ALL {
            assert_eq!(access.allows(route), route.is_account(), "{}", route.label());
        }
        for group in ["openai", "anthropic", "manage"] {
            let access = Access::of([group]).unwrap();
            assert!(!access.allows(Route::V1Other) && !access.allows(Route::Other), "{group}");
        }
    }

    #[test]
    fn access_list_round_trips_through_labels() {
        for words in [vec!["openai"], vec!["chat", "anthropic", "root"], vec![]] {
            let access = Access::of(words).unwrap();
            assert_eq!(Access::of(access.labels().unwrap()), Ok(access));
        }
        assert_eq!(Access::ALL.labels(), None);
    }
}
