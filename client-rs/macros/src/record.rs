//! `#[derive(Record)]`: what is in a struct, and where.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, Ident, LitStr, Type};

/// As many fields as the protocol has room for.
const MOST_FIELDS: usize = 1024;

/// Bytes of a field's name, at most.
const MOST_NAME: usize = 255;

/// One field of the struct.
struct Member<'a> {
    ident: &'a Ident,
    kind: &'a Type,
    /// The name that it crosses under; `None` if it only fills a gap.
    name: Option<String>,
}

/// Implements the trait.
pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let ident = &input.ident;
    if !input.generics.params.is_empty() {
        return Err(Error::new(input.generics.span(), "a record has no parameters: write one for each type"));
    }
    check_repr(input)?;
    let members = members(input)?;
    let of = ident;
    let parts = members.iter().filter_map(|member| {
        let Member { ident, kind, name } = member;
        let name = name.as_ref()?;
        Some(quote_spanned! {kind.span()=>
            ::pycrust_client::record::part::<#kind>(#name, ::core::mem::offset_of!(#of, #ident))
        })
    });
    let kinds = members.iter().map(|member| member.kind);
    let padded = format!(
        "`{ident}` has gaps between its fields or behind them, whose bytes would be anything: put the largest fields \
         first, or fill each gap with a field such as `#[record(padding)] gap: [u8; 4]`"
    );
    let aligned = format!("`{ident}` is aligned to more than 64 bytes, and arrays are not");
    Ok(quote! {
        const _: () = {
            ::core::assert!(
                ::core::mem::size_of::<#ident>() == 0 #(+ ::core::mem::size_of::<#kinds>())*,
                #padded
            );
            ::core::assert!(::core::mem::align_of::<#ident>() <= 64, #aligned);

            const PARTS: &[::pycrust_client::record::Part] = &[#(#parts),*];

            #[automatically_derived]
            impl ::pycrust_client::Record for #ident {
                fn layout() -> &'static ::std::sync::Arc<::pycrust_client::record::Layout> {
                    static LAYOUT: ::pycrust_client::record::Once = ::pycrust_client::record::Once::new();
                    LAYOUT.get_or_init(|| ::pycrust_client::record::layout::<#ident>(PARTS))
                }
            }
        };
    })
}

fn check_repr(input: &DeriveInput) -> syn::Result<()> {
    let mut is_c = false;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("repr")) {
        attribute.parse_nested_meta(|meta| {
            is_c |= meta.path.is_ident("C");
            // What `packed` and `align` have behind them.
            if meta.input.peek(syn::token::Paren) {
                meta.input.parse::<proc_macro2::Group>()?;
            }
            Ok(())
        })?;
    }
    if is_c {
        return Ok(());
    }
    let reason = "a record needs #[repr(C)]: otherwise its fields have no order that others could know";
    Err(Error::new(input.ident.span(), reason))
}

fn members(input: &DeriveInput) -> syn::Result<Vec<Member<'_>>> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "a record is a struct"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(input.ident.span(), "a record is a struct whose fields have names"));
    };
    let members = fields.named.iter().map(member).collect::<syn::Result<Vec<_>>>()?;
    let mut names = HashSet::new();
    for member in &members {
        let Some(name) = &member.name else { continue };
        if name.is_empty() || name.len() > MOST_NAME {
            let reason = format!("a field's name has 1 to {MOST_NAME} bytes");
            return Err(Error::new(member.ident.span(), reason));
        }
        if !names.insert(name) {
            return Err(Error::new(member.ident.span(), format!("two fields have the name {name:?}")));
        }
    }
    if names.is_empty() || names.len() > MOST_FIELDS {
        return Err(Error::new(input.ident.span(), format!("a record has 1 to {MOST_FIELDS} fields")));
    }
    Ok(members)
}

fn member(field: &Field) -> syn::Result<Member<'_>> {
    let Some(ident) = &field.ident else {
        return Err(Error::new(field.span(), "a field without a name"));
    };
    let written = ident.to_string();
    let mut name = Some(written.strip_prefix("r#").map_or(written.clone(), Into::into));
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("record")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("rename") {
                name = Some(meta.value()?.parse::<LitStr>()?.value());
            } else if meta.path.is_ident("padding") {
                name = None;
            } else {
                let path = meta.path.to_token_stream();
                return Err(meta.error(format!("`{path}` means nothing here: `rename = \"…\"` or `padding`")));
            }
            Ok(())
        })?;
    }
    Ok(Member { ident, kind: &field.ty, name })
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn refused(input: &DeriveInput) -> String {
        derive(input).expect_err("no record").to_string()
    }

    #[test]
    fn a_struct_names_its_fields_in_their_places() {
        let written = derive(&parse_quote! {
            #[repr(C, align(16))]
            struct Tick {
                at: i64,
                #[record(rename = "type")]
                kind: [u8; 4],
                r#in: u16,
                #[record(padding)]
                gap: u16,
            }
        });
        let written = written.expect("a record").to_string();
        assert_eq!(written.matches("record :: part ::").count(), 3);
        for part in
            ["\"at\" , :: core :: mem :: offset_of ! (Tick , at)", "\"type\"", "\"in\"", "Tick , r#in"]
        {
            assert!(written.contains(part), "{part}: {written}");
        }
        assert_eq!(written.matches("size_of").count(), 5, "the gap is counted: {written}");
        assert!(written.contains("put the largest fields first, or fill each gap"), "{written}");
    }

    #[test]
    fn what_is_no_record_says_why() {
        for (input, said) in [
            (parse_quote! { struct A { a: u8 } }, "#[repr(C)]"),
            (parse_quote! { #[repr(transparent)] struct A { a: u8 } }, "#[repr(C)]"),
            (parse_quote! { #[repr(C)] struct A<T> { a: T } }, "no parameters"),
            (parse_quote! { #[repr(C)] struct A(u8); }, "fields have names"),
            (parse_quote! { #[repr(C)] struct A; }, "fields have names"),
            (parse_quote! { #[repr(C)] enum A { B } }, "a record is a struct"),
            (parse_quote! { #[repr(C)] struct A {} }, "1 to 1024 fields"),
            (parse_quote! { #[repr(C)] struct A { #[record(padding)] a: u8 } }, "1 to 1024 fields"),
            (parse_quote! { #[repr(C)] struct A { #[record(rename = "")] a: u8 } }, "1 to 255 bytes"),
            (
                parse_quote! { #[repr(C)] struct A { a: u8, #[record(rename = "a")] b: u8 } },
                "two fields have the name \"a\"",
            ),
            (parse_quote! { #[repr(C)] struct A { #[record(skip)] a: u8 } }, "`skip` means nothing here"),
        ] {
            let reason = refused(&input);
            assert!(reason.contains(said), "{reason}, not {said}");
        }
    }
}
