//! The order of addresses, silence, and what a resolver says.

use super::*;

#[test]
fn a_name_that_does_not_exist_is_told_from_a_resolver_that_fails() {
    let code = |text: &str| {
        let text = format!("{LOOKUP_FAILED}{text}");
        let failure = unresolved("h.example", &io::Error::other(text));
        assert!(!failure.message.contains("lookup"), "{}", failure.message);
        failure.provider_code
    };
    assert_eq!(code("Name or service not known").as_deref(), Some("dns"));
    assert_eq!(code("Name does not resolve").as_deref(), Some("dns"));
    for text in [
        "Temporary failure in name resolution",
        "Try again",
        "Too many open files",
    ] {
        assert_eq!(code(text).as_deref(), Some("dns_unavailable"), "{text}");
    }
}

/// Knows a name once and never says anything again.
#[derive(Debug, Default)]
struct Hanging(std::sync::atomic::AtomicBool);

impl Network for Hanging {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> Asked<'a, Vec<SocketAddr>> {
        let again = self.0.swap(true, std::sync::atomic::Ordering::Relaxed);
        Box::pin(async move {
            if again {
                std::future::pending::<()>().await;
            }
            Ok(vec![SocketAddr::from(([192, 0, 2, 1], port))])
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_hangs_is_not_waited_for_when_addresses_are_known() {
    let way = Way::new(Arc::new(Hanging::default()));
    let first = way.addresses("h", 80).await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(way.addresses("h", 80).await.unwrap(), first);
    assert!(began.elapsed() < SLOW_LOOKUP * 2);
}

/// Nobody at these addresses ever answers; keeps those that were tried.
#[derive(Debug)]
struct BlackHoles(Vec<SocketAddr>, Mutex<Vec<SocketAddr>>);

impl Network for BlackHoles {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Asked<'a, Vec<SocketAddr>> {
        Box::pin(async { Ok(self.0.clone()) })
    }

    fn connect(&self, address: SocketAddr) -> Asked<'_, TcpStream> {
        self.1.lock().unwrap().push(address);
        Box::pin(std::future::pending())
    }
}

/// Some addresses that never answer, and the way to them.
fn holes(n: usize) -> (Arc<BlackHoles>, Way) {
    let addresses: Vec<SocketAddr> = (1..=2).map(|n| ([192, 0, 2, n], 80).into()).collect();
    let holes = Arc::new(BlackHoles(addresses[..n].to_vec(), Mutex::default()));
    let way = Way::new(Arc::clone(&holes) as Arc<dyn Network>);
    (holes, way)
}

#[tokio::test(start_paused = true)]
async fn an_address_that_says_nothing_holds_the_next_one_up_for_a_moment_only() {
    for n in [1, 2] {
        let (holes, way) = holes(n);
        let opened = timeout(HEAD_START * 2, way.open("h", 80)).await;
        assert!(opened.is_err(), "the connect deadline is somebody else's");
        assert_eq!(*holes.1.lock().unwrap(), holes.0);
    }
}

/// Takes its time over a name.
#[derive(Debug)]
struct Thinking;

impl Network for Thinking {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> Asked<'a, Vec<SocketAddr>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(vec![SocketAddr::from(([192, 0, 2, 1], port))])
        })
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_at_the_same_time_share_one_question() {
    let way = Way::new(Arc::new(Thinking));
    let asked = (0..100).map(|_| way.addresses("h", 80));
    let answers = futures_util::future::join_all(asked).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(way.lock().questions, 1);
}

/// Loses the first packets of some connects, as a full listen queue does; the others take a
/// millisecond.
#[derive(Debug)]
struct Losing {
    listener: std::net::TcpListener,
    /// The tries that are lost, by number from 0.
    lost: std::ops::Range<usize>,
    tries: AtomicUsize,
}

impl Losing {
    fn way(lost: std::ops::Range<usize>) -> (Arc<Losing>, Way) {
        let losing = Arc::new(Losing {
            listener: std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
            lost,
            tries: AtomicUsize::new(0),
        });
        let way = Way::new(Arc::clone(&losing) as Arc<dyn Network>);
        (losing, way)
    }

    fn tries(&self) -> usize {
        self.tries.load(Ordering::Relaxed)
    }
}

impl Network for Losing {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Asked<'a, Vec<SocketAddr>> {
        Box::pin(async { Ok(vec![self.listener.local_addr()?]) })
    }

    fn connect(&self, address: SocketAddr) -> Asked<'_, TcpStream> {
        let is_lost = self
            .lost
            .contains(&self.tries.fetch_add(1, Ordering::Relaxed));
        Box::pin(async move {
            let wait = if is_lost { 1_000 } else { 1 };
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let tcp = std::net::TcpStream::connect(address)?;
            tcp.set_nonblocking(true)?;
            TcpStream::from_std(tcp)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_first_packet_is_not_waited_for_when_others_came_at_once() {
    let (losing, way) = Losing::way(5..6);
    for _ in 0..5 {
        way.open("h", 80).await.unwrap();
    }
    let began = Instant::now();
    way.open("h", 80).await.unwrap();
    assert_eq!(began.elapsed(), LEAST_PATIENCE + Duration::from_millis(1));
    assert_eq!(losing.tries(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_slow_network_is_given_the_time_that_it_takes() {
    // Nobody knows what is usual.
    let (losing, way) = Losing::way(0..1);
    way.open("h", 80).await.unwrap();
    assert_eq!(losing.tries(), 1);
    // It was fast and is slow now: 100, 200, 400 and 800 ms are too short, and all the time counts.
    let (losing, way) = Losing::way(1..9);
    way.open("h", 80).await.unwrap();
    let began = Instant::now();
    way.open("h", 80).await.unwrap();
    assert_eq!(began.elapsed().as_millis(), 100 + 200 + 400 + 800 + 1_000);
    assert_eq!(losing.tries(), 6);
    // An eighth of the news is known by now: half a second is not too long.
    way.open("h", 80).await.unwrap();
    assert_eq!(losing.tries(), 8);
}

#[test]
fn families_take_turns_and_so_do_the_addresses_of_one() {
    let names = |turn, silent: &[SocketAddr]| -> String {
        let v4 = |n| SocketAddr::from(([192, 0, 2, n], 80));
        let v6 = |n| SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, n], 80));
        let addresses = [v6(1), v6(2), v4(1), v4(2), v4(3)];
        order(&addresses, silent, turn)
            .iter()
            .map(|address| match address {
                SocketAddr::V4(v4) => char::from(b'0' + v4.ip().octets()[3]),
                SocketAddr::V6(v6) => char::from(b'@' + v6.ip().octets()[15]),
            })
            .collect()
    };
    assert_eq!(names(0, &[]), "A1B23");
    assert_eq!(names(1, &[]), "B2A31");
    assert_eq!(names(2, &[]), "A3B12");
    let silent = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 80));
    assert_eq!(names(0, &[silent]), "1B23A");
    assert!(order(&[], &[], 3).is_empty());
}

#[test]
fn only_a_lack_that_may_pass_is_waited_for() {
    let v4: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let v6: SocketAddr = "[::1]:1".parse().unwrap();
    let wait = |errors: &[(SocketAddr, i32)]| {
        let errors: Vec<_> = errors
            .iter()
            .map(|(address, code)| (*address, io::Error::from_raw_os_error(*code)))
            .collect();
        wait_for_free(&errors)
    };
    assert_eq!(wait(&[]), None);
    assert_eq!(wait(&[(v4, libc::ECONNREFUSED)]), None);
    assert_eq!(wait(&[(v4, libc::EMFILE)]), Some(Duration::MAX));
    assert_eq!(wait(&[(v4, libc::EADDRNOTAVAIL)]), Some(PORTS_WAIT));
    assert_eq!(wait(&[(v6, libc::EADDRNOTAVAIL)]), Some(PORTS_WAIT));
    let no_ipv6 = [(v4, libc::ECONNREFUSED), (v6, libc::EADDRNOTAVAIL)];
    assert_eq!(wait(&no_ipv6), None);
}
