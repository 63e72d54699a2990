//! URLs, variables and lists of proxies.

use super::*;

fn url(text: &str) -> BaseUrl {
    BaseUrl::parse(text).unwrap()
}

fn far() -> BaseUrl {
    url("https://api.example.com/v1")
}

#[test]
fn urls_of_proxies_are_read_and_shown_without_their_log_in() {
    for (text, shown) in [
        ("http://proxy:3128", "http://proxy:3128"),
        ("proxy:3128", "http://proxy:3128"),
        ("http://proxy/", "http://proxy:80"),
        ("HTTPS://me:secret@proxy", "https://proxy:443"),
        ("socks5://me:sec%40ret@10.0.0.1", "socks5h://10.0.0.1:1080"),
        ("socks5h://[::1]:9050", "socks5h://[::1]:9050"),
        (" me:secret@proxy:1 ", "http://proxy:1"),
    ] {
        let proxies = Proxies::all(text).unwrap();
        assert_eq!(proxies.shown(&far()).as_deref(), Some(shown), "{text}");
        assert!(!format!("{proxies:?}").contains("ecret"), "{proxies:?}");
    }
}

#[test]
fn what_is_no_proxy_says_so_without_the_log_in() {
    for (text, why) in [
        ("", "no URL"),
        ("ftp://me:secret@proxy", "scheme"),
        ("http://me:secret@", "no URL"),
        ("http://me:secret@proxy:0", "1 to 65535"),
        ("http://me:secret@proxy:99999", "1 to 65535"),
        ("http://me:secret@proxy:x", "1 to 65535"),
        ("http://me:secret%@proxy", "cut off"),
        ("http://me:secret%zz@proxy", "cut off"),
        ("http://proxy:3128/a/path", "no URL"),
        ("http://sec ret@pro xy", "no URL"),
    ] {
        let error = Proxies::all(text).unwrap_err();
        assert!(error.to_string().contains(why), "{text}: {error}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[test]
fn user_and_password_are_sent_as_they_were_meant() {
    let proxy = Proxy::parse("http://Aladdin:open%20sesame@proxy").unwrap();
    let value = proxy.authorization().unwrap();
    // The example of RFC 7617, section 2.
    assert_eq!(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert!(value.is_sensitive());
    assert!(
        Proxy::parse("http://proxy")
            .unwrap()
            .authorization()
            .is_none()
    );
}

#[test]
fn this_machine_is_reached_without_a_proxy() {
    let proxies = Proxies::all("http://proxy:3128").unwrap();
    for origin in [
        "http://localhost:8000/v1",
        "http://sim.localhost/v1",
        "http://127.0.0.1:1/v1",
        "http://127.8.9.1/v1",
        "http://[::1]:8000/v1",
        "http://0.0.0.0:11434/v1",
        "https://LOCALHOST/v1",
    ] {
        assert_eq!(proxies.shown(&url(origin)), None, "{origin}");
    }
    for origin in [
        "http://10.0.0.1/v1",
        "http://notlocalhost/v1",
        "https://h/v1",
    ] {
        assert!(proxies.shown(&url(origin)).is_some(), "{origin}");
    }
}

/// The proxies of an environment with these variables.
fn among(variables: &[(&str, &str)]) -> Proxies {
    Proxies::from_variables(|name| {
        let found = variables.iter().find(|(known, _)| *known == name)?;
        Some(found.1.to_owned())
    })
    .unwrap()
}

#[test]
fn variables_name_a_proxy_for_each_scheme() {
    let shown = |variables: &[(&str, &str)], origin: &str| among(variables).shown(&url(origin));
    let (plain, tls) = ("http://h.example/v1", "https://h.example/v1");
    assert_eq!(shown(&[], tls), None);
    let both = [("HTTP_PROXY", "http://a:1"), ("HTTPS_PROXY", "http://b:2")];
    assert_eq!(shown(&both, plain).unwrap(), "http://a:1");
    assert_eq!(shown(&both, tls).unwrap(), "http://b:2");
    let all = [("ALL_PROXY", "socks5://a:1"), ("https_proxy", "b:2")];
    assert_eq!(shown(&all, plain).unwrap(), "socks5h://a:1");
    assert_eq!(shown(&all, tls).unwrap(), "http://b:2");
    let cases = [("https_proxy", "low:1"), ("HTTPS_PROXY", "up:2")];
    assert_eq!(shown(&cases, tls).unwrap(), "http://low:1");
}

#[test]
fn a_variable_that_holds_no_proxy_is_named() {
    let read = |name: &str| (name == "HTTPS_PROXY").then(|| "me:secret@:x".to_owned());
    let error = Proxies::from_variables(read).unwrap_err().to_string();
    assert!(error.contains("in HTTPS_PROXY"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn a_list_names_what_is_reached_without_a_proxy() {
    let list =
        "example.com, .corp.internal,*.test,10.0.0.0/8,192.0.2.7,one:8080,fd00::/8,[fd00::1]:9";
    let proxies = among(&[("ALL_PROXY", "http://proxy"), ("NO_PROXY", list)]);
    let is_direct = |origin: &str| proxies.shown(&url(origin)).is_none();
    for origin in [
        "https://example.com/v1",
        "https://api.EXAMPLE.com/v1",
        "http://a.corp.internal/v1",
        "http://corp.internal/v1",
        "http://x.y.test/v1",
        "http://10.255.0.1/v1",
        "http://192.0.2.7:99/v1",
        "http://one:8080/v1",
        "http://[fd00::2]/v1",
    ] {
        assert!(is_direct(origin), "{origin}");
    }
    for origin in [
        "https://notexample.com/v1",
        "https://example.com.evil/v1",
        "http://11.0.0.1/v1",
        "http://192.0.2.70/v1",
        "http://one:80/v1",
        "http://[fe80::2]/v1",
    ] {
        assert!(!is_direct(origin), "{origin}");
    }
    let all = among(&[("ALL_PROXY", "http://proxy"), ("NO_PROXY", "*")]);
    assert_eq!(all.shown(&far()), None);
}
