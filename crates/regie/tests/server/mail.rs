//! Mail of reports (feature `smtp`): a small mail server of our own on the loopback takes what is sent, and shows it.

use crate::shown::Stage;
use regie::http::downloads::round;
use regie_model::{UtcMs, booking::Role, time::DAY_MS};
use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
};

/// One conversation of RFC 5321, section 3: greeting, EHLO, MAIL, RCPT, DATA, QUIT.
fn converse(stream: &TcpStream, mails: &Sender<String>) -> std::io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone()?), stream.try_clone()?);
    let (mut mail, mut line) = (String::new(), String::new());
    writer.write_all(b"220 loopback\r\n")?;
    while reader.read_line(&mut line)? > 0 {
        let word = line.split([' ', ':', '\r']).next().unwrap_or_default().to_ascii_uppercase();
        mail.push_str(&line);
        line.clear();
        match word.as_str() {
            "DATA" => {
                writer.write_all(b"354 go on\r\n")?;
                while reader.read_line(&mut line)? > 0 && line != ".\r\n" {
                    mail.push_str(&line);
                    line.clear();
                }
                line.clear();
                writer.write_all(b"250 taken\r\n")?;
                let _ = mails.send(std::mem::take(&mut mail));
            }
            "QUIT" => {
                writer.write_all(b"221 bye\r\n")?;
                return Ok(());
            }
            _ => writer.write_all(b"250 ok\r\n")?,
        }
    }
    Ok(())
}

fn mail_server() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("smtp://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = converse(&stream, &sender);
        }
    });
    (address, receiver)
}

#[test]
fn a_report_that_was_made_is_mailed_as_a_link_to_who_ordered_it() {
    let (address, mails) = mail_server();
    let mut stage = Stage::open();
    stage.harness = stage.harness.restart_with(|config| {
        config.smtp_url = Some(address);
        config.smtp_from = "reports@gazette.example".into();
    });
    stage.owner = stage.harness.owner();
    let kim = stage.harness.user(Role::Advertiser, stage.shop.advertiser.parse().ok());
    let order = serde_json::json!({ "campaign": stage.shop.campaign, "every": "day", "by": "day,version", "mail": true });
    kim.post("/v1/report-orders", order).expect(201);
    let app = &stage.harness.app;
    let now = UtcMs(app.platform.now().0 + DAY_MS);
    assert_eq!(stage.harness.run(round(app, now)).unwrap(), 1);
    let mail = mails.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    let email = kim.get("/v1/account").expect(200).json()["email"].as_str().unwrap().to_owned();
    assert!(mail.contains("reports@gazette.example") && mail.contains(&email), "{mail}");
    assert!(mail.contains("/console/downloads"), "a link, and not the figures: {mail}");
    assert!(!mail.contains("impressions"), "{mail}");
}

#[test]
fn a_mail_server_that_refuses_costs_no_report() {
    let stage = {
        let mut stage = Stage::open();
        stage.harness = stage.harness.restart_with(|config| {
            // Nobody listens there.
            config.smtp_url = Some("smtp://127.0.0.1:9".into());
            config.smtp_from = "reports@gazette.example".into();
        });
        stage.owner = stage.harness.owner();
        stage
    };
    let order = serde_json::json!({ "campaign": stage.shop.campaign, "every": "day", "mail": true });
    stage.owner.post("/v1/report-orders", order).expect(201);
    let app = &stage.harness.app;
    let now = UtcMs(app.platform.now().0 + DAY_MS);
    assert_eq!(stage.harness.run(round(app, now)).unwrap(), 1);
    assert_eq!(stage.owner.get("/v1/report-files").json()["files"].as_array().unwrap().len(), 1);
}
