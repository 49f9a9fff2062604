//! The glue between SQLite's VFS interface (C) and the model. Refuses to decide anything: every
//! callback takes one lock, asks the model once and translates the answer. The only unsafe code of
//! the crate, and only with the feature `simdisk`.
//!
//! What is registered is never freed (a few hundred bytes a disk): a connection may outlive the
//! disk, and then finds it dead, not gone.
#![allow(unsafe_code)]

use super::model::{Fault, Handle, Model};
use rusqlite::ffi;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// A VFS known to SQLite under a name of its own, until dropped.
pub(super) struct Registered {
    vfs: *mut ffi::sqlite3_vfs,
    name: String,
}

// SAFETY: the pointer is only handed to `sqlite3_vfs_unregister`, which takes SQLite's own lock.
unsafe impl Send for Registered {}
// SAFETY: as above; nothing is reached through a shared reference.
unsafe impl Sync for Registered {}

impl Registered {
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: it was registered by `register` and is never freed.
        unsafe { ffi::sqlite3_vfs_unregister(self.vfs) };
    }
}

/// Makes a disk known to SQLite.
pub(super) fn register(model: Arc<Mutex<Model>>) -> Registered {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("regie-sim-{}", NEXT.fetch_add(1, Relaxed));
    let c_name = CString::new(name.as_str()).unwrap_or_default().into_raw();
    let vfs = Box::into_raw(Box::new(ffi::sqlite3_vfs {
        iVersion: 1,
        szOsFile: size_of::<SimFile>() as c_int,
        mxPathname: 512,
        pNext: std::ptr::null_mut(),
        zName: c_name,
        pAppData: Arc::into_raw(model).cast_mut().cast::<c_void>(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: None,
        xCurrentTimeInt64: None,
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }));
    // SAFETY: a complete, leaked VFS whose name and data are leaked too.
    let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
    assert_eq!(code, ffi::SQLITE_OK, "SQLite takes another VFS");
    Registered { vfs, name }
}

/// SQLite's file with our handle behind it.
#[repr(C)]
struct SimFile {
    base: ffi::sqlite3_file,
    model: *const Mutex<Model>,
    handle: *mut Handle,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

fn code(fault: Fault, otherwise: c_int) -> c_int {
    match fault {
        Fault::Full => ffi::SQLITE_FULL,
        Fault::Busy => ffi::SQLITE_BUSY,
        Fault::NotFound => ffi::SQLITE_CANTOPEN,
        Fault::Crashed | Fault::WriteFailed | Fault::SyncFailed => otherwise,
    }
}

fn answer(result: Result<(), Fault>, otherwise: c_int) -> c_int {
    result.map_or_else(|fault| code(fault, otherwise), |()| ffi::SQLITE_OK)
}

/// Asks the model behind a VFS.
///
/// # Safety
/// `vfs` is one made by [`register`].
unsafe fn of_vfs<T>(vfs: *mut ffi::sqlite3_vfs, ask: impl FnOnce(&mut Model) -> T) -> T {
    // SAFETY: `pAppData` is a leaked `Arc<Mutex<Model>>`.
    let model = unsafe { &*(*vfs).pAppData.cast::<Mutex<Model>>() };
    ask(&mut model.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Asks the model behind an open file.
///
/// # Safety
/// `file` was opened by [`open`], is not closed, and is used by one thread at a time, as SQLite
/// promises.
unsafe fn of_file<T>(file: *mut ffi::sqlite3_file, ask: impl FnOnce(&mut Model, &mut Handle) -> T) -> T {
    // SAFETY: `open` filled in both pointers; the model is leaked, the handle ours until `close`.
    let (model, handle) = unsafe {
        let file = &*file.cast::<SimFile>();
        (&*file.model, &mut *file.handle)
    };
    ask(&mut model.lock().unwrap_or_else(PoisonError::into_inner), handle)
}

/// # Safety
/// `name` is null or a string that ends in a zero byte and outlives the call.
unsafe fn path<'a>(name: *const c_char) -> Option<&'a str> {
    // SAFETY: by the contract above.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }).and_then(|name| name.to_str().ok())
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives room for `szOsFile` bytes, a valid name, and a place for flags or null.
    unsafe {
        let file = file.cast::<SimFile>();
        // No methods: SQLite will not close what did not open.
        (*file).base.pMethods = std::ptr::null();
        let Some(path) = path(name) else {
            return ffi::SQLITE_CANTOPEN;
        };
        let create = flags & ffi::SQLITE_OPEN_CREATE != 0;
        let log = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL;
        match of_vfs(vfs, |model| model.open(path, create, create && flags & log != 0)) {
            Ok(handle) => {
                (*file).model = (*vfs).pAppData.cast();
                (*file).handle = Box::into_raw(Box::new(handle));
                (*file).base.pMethods = &raw const METHODS;
                if !out_flags.is_null() {
                    *out_flags = flags;
                }
                ffi::SQLITE_OK
            }
            Err(fault) => code(fault, ffi::SQLITE_CANTOPEN),
        }
    }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    // SAFETY: SQLite's arguments are valid for the call.
    unsafe {
        let Some(path) = path(name) else {
            return ffi::SQLITE_IOERR_DELETE;
        };
        let removed = of_vfs(vfs, |model| {
            model.remove(path)?;
            let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
            if sync_dir != 0 { model.sync_dir(dir) } else { Ok(()) }
        });
        match removed {
            Err(Fault::NotFound) => ffi::SQLITE_IOERR_DELETE_NOENT,
            other => answer(other, ffi::SQLITE_IOERR_DELETE),
        }
    }
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's arguments are valid for the call.
    unsafe {
        let found = path(name).map_or(Ok(false), |path| of_vfs(vfs, |model| model.exists(path)));
        *out = c_int::from(found == Ok(true));
        answer(found.map(|_| ()), ffi::SQLITE_IOERR_ACCESS)
    }
}

unsafe extern "C" fn full_pathname(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: `name` ends in a zero byte and `out` has `room` bytes.
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > room as usize {
            return ffi::SQLITE_CANTOPEN;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len());
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(vfs: *mut ffi::sqlite3_vfs, count: c_int, out: *mut c_char) -> c_int {
    // SAFETY: `out` has `count` bytes.
    let out = unsafe { std::slice::from_raw_parts_mut(out.cast::<u8>(), count as usize) };
    // SAFETY: our VFS.
    unsafe {
        of_vfs(vfs, |model| out.iter_mut().for_each(|byte| *byte = model.rng.next() as u8));
    }
    count
}

unsafe extern "C" fn sleep(_vfs: *mut ffi::sqlite3_vfs, micros: c_int) -> c_int {
    micros
}

unsafe extern "C" fn current_time(_vfs: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: SQLite gives a place for the answer. The Julian day of 1970-01-01.
    unsafe { *out = 2_440_587.5 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes once what `open` opened.
    unsafe {
        of_file(file, |model, handle| model.close(handle));
        let file = file.cast::<SimFile>();
        drop(Box::from_raw((*file).handle));
        (*file).handle = std::ptr::null_mut();
        (*file).base.pMethods = std::ptr::null();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    out: *mut c_void,
    count: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: `out` has `count` bytes; the file is open.
    let (out, got) = unsafe {
        let out = std::slice::from_raw_parts_mut(out.cast::<u8>(), count as usize);
        let got = of_file(file, |model, handle| model.read(handle, offset as usize, out));
        (out, got)
    };
    match got {
        Ok(got) if got == out.len() => ffi::SQLITE_OK,
        Ok(got) => {
            out[got..].fill(0);
            ffi::SQLITE_IOERR_SHORT_READ
        }
        Err(fault) => code(fault, ffi::SQLITE_IOERR_READ),
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    count: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: `from` has `count` bytes; the file is open.
    let written = unsafe {
        let from = std::slice::from_raw_parts(from.cast::<u8>(), count as usize);
        of_file(file, |model, handle| model.write(handle, offset as usize, from))
    };
    answer(written, ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: the file is open.
    let done = unsafe { of_file(file, |model, handle| model.truncate(handle, length as usize)) };
    answer(done, ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: the file is open.
    answer(unsafe { of_file(file, Model::sync) }, ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: the file is open, and there is a place for the answer.
    let size = unsafe { of_file(file, |model, handle| model.size(handle)).map(|size| *out = size as i64) };
    answer(size, ffi::SQLITE_IOERR_FSTAT)
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    let done = unsafe { of_file(file, |model, handle| model.lock(handle, level)) };
    answer(done, ffi::SQLITE_IOERR_LOCK)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    let done = unsafe { of_file(file, |model, handle| model.unlock(handle, level)) };
    answer(done, ffi::SQLITE_IOERR_UNLOCK)
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: the file is open, and there is a place for the answer.
    let done = unsafe {
        of_file(file, |model, handle| model.is_reserved(handle)).map(|reserved| *out = c_int::from(reserved))
    };
    answer(done, ffi::SQLITE_IOERR_CHECKRESERVEDLOCK)
}

unsafe extern "C" fn file_control(
    _file: *mut ffi::sqlite3_file,
    _op: c_int,
    _argument: *mut c_void,
) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: the file is open.
    unsafe { of_file(file, |model, _| model.sector_bytes as c_int) }
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: the file is open.
    match unsafe { of_file(file, |model, _| model.powersafe) } {
        true => ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE,
        false => 0,
    }
}
