//! HTTP connector of a store that checks every response to a listing request.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use hyper::StatusCode;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector,
};

use super::listing_request::ListingRequest;
use super::{Entries, NotAListing, Protocol, SkippedObjects, azure, bucket, web};
use crate::blocking;

/// Maximum response size in bytes: many times a page of any store, and a WebDAV listing of the
/// maximum number of objects.
const MAX_RESPONSE: usize = 128 << 20;

/// Connects to a store and checks its listings.
#[derive(Debug)]
pub(in super::super) struct CheckingConnector {
    protocol: Protocol,
    skipped: SkippedObjects,
    inner: Arc<dyn HttpConnector>,
}

impl CheckingConnector {
    /// Creates a connector for a protocol. Objects that cannot be files are counted in `skipped`.
    pub(in super::super) fn new(protocol: Protocol, skipped: SkippedObjects) -> Self {
        CheckingConnector { protocol, skipped, inner: Arc::new(ReqwestConnector::default()) }
    }

    /// Uses another connector for the requests themselves.
    #[cfg(test)]
    pub(super) fn through(self, inner: impl HttpConnector) -> Self {
        CheckingConnector { inner: Arc::new(inner), ..self }
    }
}

impl HttpConnector for CheckingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = self.inner.connect(options)?;
        Ok(HttpClient::new(CheckingClient {
            protocol: self.protocol,
            skipped: self.skipped.clone(),
            inner,
        }))
    }
}

/// A client that checks listings.
#[derive(Debug)]
struct CheckingClient {
    protocol: Protocol,
    skipped: SkippedObjects,
    inner: HttpClient,
}

impl HttpService for CheckingClient {
    fn call<'s, 'f>(
        &'s self,
        request: HttpRequest,
    ) -> BoxFuture<'f, Result<HttpResponse, HttpError>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let listing_request = ListingRequest::parse(self.protocol, &request);
            let response = self.inner.execute(request).await?;

            match listing_request {
                Some(request) => self.check(request, response).await,
                None => Ok(response),
            }
        })
    }
}

impl CheckingClient {
    async fn check(
        &self,
        request: ListingRequest,
        response: HttpResponse,
    ) -> Result<HttpResponse, HttpError> {
        let (mut parts, body) = response.into_parts();
        match request.protocol {
            // `object_store` takes this for an empty folder.
            Protocol::WebDav if parts.status == StatusCode::NOT_FOUND => {
                return refuse(format!("there is no folder {}", request.url.path()));
            }
            Protocol::WebDav
                if parts.status.is_success() && parts.status != StatusCode::MULTI_STATUS =>
            {
                return refuse(format!(
                    "its status is {}, where 207 is expected",
                    parts.status.as_u16()
                ));
            }
            Protocol::S3 | Protocol::Azure
                if parts.status.is_success() && parts.status != StatusCode::OK =>
            {
                return refuse(format!(
                    "its status is {}, where 200 is expected",
                    parts.status.as_u16()
                ));
            }
            // `object_store` reports the error and retries.
            _ if !parts.status.is_success() => return Ok(HttpResponse::from_parts(parts, body)),
            _ => {}
        }

        let answer = collect(body).await?;

        // Checking a long listing takes long.
        let checked = blocking::run(move || {
            let entries = check_listing(&request, &answer)?;
            Ok((entries.skipped(), entries.without(&answer)))
        });

        let checked = checked.await.unwrap_or_else(|error| Err(error.to_string()));
        let ((count, first), answer) = checked.or_else(refuse)?;
        self.skipped.add(count, first);
        parts.headers.remove(hyper::header::CONTENT_LENGTH);

        Ok(HttpResponse::from_parts(parts, answer.into()))
    }
}

async fn collect(body: HttpResponseBody) -> Result<Vec<u8>, HttpError> {
    let mut pieces = body.bytes_stream();
    let mut answer = Vec::new();

    while let Some(piece) = pieces.next().await {
        answer.extend_from_slice(&piece?);
        if answer.len() > MAX_RESPONSE {
            return refuse(format!("it has more than {} MiB", MAX_RESPONSE >> 20));
        }
    }

    Ok(answer)
}

fn refuse<T>(why: String) -> Result<T, HttpError> {
    // Errors of this kind are not retried at once.
    Err(HttpError::new(HttpErrorKind::Decode, NotAListing(why)))
}

fn check_listing(request: &ListingRequest, answer: &[u8]) -> Result<Entries, String> {
    match request.protocol {
        Protocol::S3 => bucket::check(request, answer),
        Protocol::Azure => azure::check(request, answer),
        Protocol::WebDav => web::check(request, answer),
    }
}
