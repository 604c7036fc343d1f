//! The HTTP methods that a route may have.

/// The HTTP method of a route. `HEAD` is answered as `GET`, and `OPTIONS` by the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteMethod {
    /// `GET`, and `HEAD`.
    Get,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
}

impl RouteMethod {
    /// Every method.
    pub const ALL: [RouteMethod; 5] = [
        RouteMethod::Get,
        RouteMethod::Post,
        RouteMethod::Put,
        RouteMethod::Patch,
        RouteMethod::Delete,
    ];

    /// Returns the method as HTTP writes it.
    pub fn name(self) -> &'static str {
        match self {
            RouteMethod::Get => "GET",
            RouteMethod::Post => "POST",
            RouteMethod::Put => "PUT",
            RouteMethod::Patch => "PATCH",
            RouteMethod::Delete => "DELETE",
        }
    }

    /// Returns the method that answers a request with this one; `None` if none does.
    pub fn of_request(name: &str) -> Option<RouteMethod> {
        match name {
            "HEAD" => Some(RouteMethod::Get),
            name => RouteMethod::ALL.into_iter().find(|method| method.name() == name),
        }
    }
}
