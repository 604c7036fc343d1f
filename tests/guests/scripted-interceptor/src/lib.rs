//! An interceptor whose script is patched into its `.wasm`, and which leaves a trail; see
//! `tests/guests/README.md` for the words.

mod behaviour;

use guest_script::Pairs;
use wardian_sdk::interceptor::{Context, Interceptor, Rejection, Version};
use wardian_sdk::{Request, Response, values};

/// `key=value;key=value`.
#[used]
static SCRIPT: [u8; 256] = guest_script::blank();

struct ScriptedInterceptor {
    script: Pairs,
}

impl Default for ScriptedInterceptor {
    fn default() -> Self {
        ScriptedInterceptor { script: Pairs::read(&SCRIPT) }
    }
}

impl ScriptedInterceptor {
    fn name(&self) -> &str {
        self.script.get("name").unwrap_or("scripted-interceptor")
    }

    /// Logs the hook, and performs the script.
    fn told(&self, hook: &str, Version { tenant, model, version }: &Version) -> Result<(), String> {
        wardian_sdk::info!("{} {hook} {tenant}/{model}/{version}", self.name());
        match self.script.get(hook) {
            Some(word) if self.script.get("only").is_none_or(|only| only == model) => {
                behaviour::object(word)
            }
            _ => Ok(()),
        }
    }

    /// Appends a word to the trail of this call.
    fn leave(&self, word: &str) -> String {
        let trail = values::get("trail").map_or(word.to_owned(), |trail| format!("{trail} {word}"));
        let _ = values::set("trail", &trail);
        trail
    }

    fn version(&self) -> &str {
        self.script.get("version").unwrap_or("0")
    }
}

impl Interceptor for ScriptedInterceptor {
    fn before_load(&self, version: &Version) -> Result<(), String> {
        self.told("before-load", version)
    }

    fn after_load(&self, version: &Version) -> Result<(), String> {
        self.told("after-load", version)
    }

    fn before_unload(&self, version: &Version) {
        let _ = self.told("before-unload", version);
    }

    fn after_unload(&self, version: &Version) {
        let _ = self.told("after-unload", version);
    }

    fn before_call(&self, _context: &Context, mut request: Request) -> Result<Request, Rejection> {
        let first = self.leave(self.name()) == self.name();
        let _ = values::set(self.name(), self.version());
        let word =
            |name: &str| request.parameter(name).filter(|_| first)?.as_text().map(str::to_owned);
        if let Some(word) = word("after") {
            let _ = values::set(&format!("{} after", self.name()), &word);
        }
        let word = word("before")
            .or_else(|| self.script.get("before").map(str::to_owned))
            .unwrap_or_default();
        behaviour::before(&word, &mut request)?;
        Ok(request)
    }

    fn after_call(&self, context: &Context, mut response: Response) -> Response {
        let trail = self.leave(self.name());
        let word = values::get(&format!("{} after", self.name()));
        let word = word.or_else(|| self.script.get("after").map(str::to_owned)).unwrap_or_default();
        behaviour::after(&word, &mut response);
        let Context { tenant, model, version, request_id, key } = context;
        response
            .parameters
            .retain(|parameter| parameter.name != "trail" && parameter.name != "context");
        response
            .parameter("trail", trail)
            .parameter("context", format!("{tenant} {model} {version} {request_id} {key}"))
            .parameter(
                &format!("{}_before", self.name()),
                values::get(self.name()).unwrap_or_default(),
            )
            .parameter(&format!("{}_after", self.name()), self.version())
    }
}

wardian_sdk::export_interceptor!(ScriptedInterceptor);
