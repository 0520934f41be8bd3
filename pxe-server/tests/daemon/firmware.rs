//! Firmware that fails, or has a fault, by the real program's sockets.

use dhcproto::v4::OptionCode;
use lab_model::MacAddr;
use lab_tests::process::until;
use lab_tests::{Namespace, SERVER};

use crate::client::{DhcpClient, elsewhere, http_get};
use crate::server::{LIMIT, ON_THE_BRIDGE, Server};

#[test]
fn http_boot_that_fetches_nothing_is_led_to_pxe() {
    let namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(ON_THE_BRIDGE);
    server.define(
        "web.toml",
        "name = 'web'\narch = 'x86_64'\nmac = '52:54:00:00:00:07'\npxeboot = true\ndistro = 'debian-12'\n",
    );
    server.start();
    let boot = |vendor_class: &'static [u8]| {
        elsewhere(&namespace, move || {
            let client = DhcpClient::new(MAC);
            let offer = client.discover_as(vendor_class);
            let url = offer.opts().get(OptionCode::BootfileName).is_some();
            client.request_as(vendor_class, offer.yiaddr());
            url
        })
    };

    assert!(boot(HTTP), "it gets its URL");
    assert!(boot(PXE), "and tries the other way");
    server.wait_for_log("its firmware failed, and is served more gently");

    assert!(!boot(HTTP), "from now on there is one way only");
    assert!(boot(PXE));
    let (_, machine) = http_get(&format!("http://{SERVER}/machines/web"));
    assert_eq!(machine.matches(r#""event":"step-down","to":"no-http-boot""#).count(), 1, "{machine}");
    assert_eq!(server.log().matches("served more gently").count(), 1, "{}", server.log());
}

#[test]
fn a_quirk_of_the_configuration_counts_from_the_next_packet_on() {
    let namespace = Namespace::enter().unwrap();
    let server = Server::started();
    let url = || {
        elsewhere(&namespace, || {
            let offer = DhcpClient::new(MAC).discover_as(HTTP);
            offer.opts().get(OptionCode::BootfileName).is_some()
        })
    };
    assert!(url());

    server.configure(&format!("{ON_THE_BRIDGE}[[quirk]]\nname = 'slow'\nmac = ['52:54:00']\nhttp-boot = false\n"));
    until(LIMIT, || Ok((!url()).then_some(()))).unwrap().expect("it is taken up");

    assert!(server.log().contains(r#"configuration changed key="quirk[slow].http-boot""#), "{}", server.log());
    server.configure(ON_THE_BRIDGE);
    until(LIMIT, || Ok(url().then_some(()))).unwrap().expect("and let go of again");
}

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 7]);
const HTTP: &[u8] = b"HTTPClient:Arch:00016:UNDI:003016";
const PXE: &[u8] = b"PXEClient:Arch:00007:UNDI:003016";
