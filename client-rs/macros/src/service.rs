//! `service!`: a lock file as a module.

use std::env;
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use proc_macro2::{Span, TokenStream};
use pycrust_schema::{LIVE, Source, module_name, rust_module};
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Ident, LitStr, Token};

/// How far ahead the time of a file is that has always just changed.
const A_DAY: Duration = Duration::from_secs(86_400);

/// What stands in the macro's parentheses.
struct Service {
    endpoint: LitStr,
    lock: Option<LitStr>,
    module: Option<Ident>,
}

impl Parse for Service {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut found = Self { endpoint: input.parse()?, lock: None, module: None };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let option: Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            if option == "lock" {
                found.lock = Some(input.parse()?);
            } else if option == "module" {
                found.module = Some(input.parse()?);
            } else {
                return Err(syn::Error::new(
                    option.span(),
                    "the options are lock = \"FILE\" and module = NAME",
                ));
            }
        }
        Ok(found)
    }
}

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    syn::parse2(input).and_then(|service| module(&service)).unwrap_or_else(syn::Error::into_compile_error)
}

fn module(service: &Service) -> syn::Result<TokenStream> {
    let endpoint = service.endpoint.value();
    let refused = |reason: &str| syn::Error::new(service.endpoint.span(), reason);
    let directory = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let directory = directory.ok_or_else(|| {
        refused("service! reads a lock file beside Cargo.toml, and cargo builds nothing here")
    })?;
    let mut source = Source::new(&endpoint, &directory);
    if let Some(lock) = &service.lock {
        source.lock = directory.join(lock.value());
    }
    let lock = source.load().map_err(|error| refused(&error))?;
    if lock.endpoint != endpoint {
        return Err(refused(&format!("{} is that of {:?}", source.lock.display(), lock.endpoint)));
    }
    let body: TokenStream = rust_module(&lock).parse().map_err(|error| refused(&format!("{error}")))?;
    let name =
        service.module.clone().unwrap_or_else(|| Ident::new(&module_name(&endpoint), Span::call_site()));
    // What the compiler is to look at again when it has changed.
    let mut watched = vec![source.lock.clone()];
    if Source::is_live() {
        watched.extend(always_changed());
    }
    let watched: Vec<_> =
        watched.iter().filter(|path| path.exists()).map(|path| path.display().to_string()).collect();
    let names = (0..watched.len()).map(|at| format_ident!("_WATCHED_{at}"));
    Ok(quote! {
        pub mod #name {
            #body
            const _: Option<&str> = option_env!(#LIVE);
            #(const #names: &[u8] = include_bytes!(#watched);)*
        }
    })
}

/// A file that has always just changed, as the worker may have: cargo compiles again what was made of one from tomorrow.
fn always_changed() -> Option<PathBuf> {
    let mut arguments = env::args_os().skip_while(|argument| argument != "--out-dir");
    let path = PathBuf::from(arguments.nth(1)?).join("pycrust-live");
    let file = File::create(&path).ok()?;
    file.set_modified(SystemTime::now() + A_DAY).ok()?;
    Some(path)
}
