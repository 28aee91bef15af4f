//! An allocator that counts allocations.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

struct Counting;

thread_local! {
    /// Counted per thread, so that tests and their harness do not affect one another.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// The allocated bytes. Negative if a thread frees memory of another one.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

/// A thread that ends has no counter any more, so that its last allocations are not counted.
fn count() {
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

fn hold(more: usize, less: usize) {
    let _ =
        HELD.try_with(|held| held.set(held.get().wrapping_add_unsigned(more).wrapping_sub_unsigned(less)));
}

// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        hold(size, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(0, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The number of allocations of `work`.
pub(crate) fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// The bytes that `work` allocated and did not free.
pub(crate) fn kept(work: impl FnOnce()) -> isize {
    let before = HELD.get();
    work();
    HELD.get() - before
}

#[test]
fn allocation_counter_counts_allocations() {
    let mut list = Vec::new();
    assert_eq!(kept(|| drop(std::hint::black_box(vec![0_u8; 9]))), 0);
    assert_eq!(kept(|| list = std::hint::black_box(vec![0_u8; 9])), 9);
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
    assert_eq!(allocations(|| ()), 0);
}
