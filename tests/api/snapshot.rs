//! The public interface of each package is the one of its snapshot.

use super::{PACKAGES, hold, interface::interface, listing::listing, source::Source};

#[test]
fn public_interface_of_each_package_is_the_one_of_its_snapshot() {
    for package in PACKAGES {
        let items = interface(&Source::read(package.sources));
        assert!(items.len() > 4, "{}: {} items were found", package.name, items.len());
        hold(&format!("tests/api/{}.txt", package.name), &listing(package.name, &items));
    }
}
