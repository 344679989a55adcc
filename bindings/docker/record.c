// record.c: who this process is, whether another one still lives, and the record of a run.
// SPDX-License-Identifier: MIT
//
// Sources: proc(5) for stat and the namespaces, machine-id(5), flock(2), the XDG base directory
// specification for the folder of state.
#include "bindings/docker/record.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "host/alloc.h"
#include "host/cli.h"
#include "host/door.h"
#include "host/luax.h"

#define RECORD_CLASS "ctz.docker.record"
#define FIRST_SPACE  "pid:[4026531836]" // the namespace of the system itself: linux/proc_ns.h
#define STALE_S      (30 * 24 * 3600)   // a record that nobody asked for so long
#define SWEEP_S      (24 * 3600)        // between two looks for those: there may be thousands
#define SWEPT        "swept"            // whose time is that of the last look
#define RUN_DIGITS   32
#define RANDOM_MAX   64 // bytes

// --- facts -------------------------------------------------------------------------------------

// The first line of a small file; empty when it cannot be read.
static void read_line(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
}

// State and start of a process; false when /proc does not show it.
static bool read_stat(pid_t pid, char *state, uint64_t *start)
{
    char path[64], line[1024];
    unsigned long long ticks;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    read_line(path, line, sizeof line);
    const char *name_end = strrchr(line, ')'); // the name may hold any byte
    if (!name_end ||
        sscanf(name_end,
               ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               state, &ticks) != 2)
        return false;
    *start = ticks;
    return true;
}

static void read_space(char *text, size_t size)
{
    ssize_t length = readlink("/proc/self/ns/pid", text, size - 1);
    text[length > 0 ? length : 0] = '\0';
    if (strcmp(text, FIRST_SPACE) == 0)
        text[0] = '\0';
}

void record_read_facts(struct record_facts *facts)
{
    struct utsname names;
    char state;
    memset(facts, 0, sizeof *facts);
    read_line("/etc/machine-id", facts->machine, sizeof facts->machine);
    if (!facts->machine[0])
        read_line("/var/lib/dbus/machine-id", facts->machine, sizeof facts->machine);
    read_line("/proc/sys/kernel/random/boot_id", facts->boot, sizeof facts->boot);
    if (uname(&names) == 0)
        snprintf(facts->node, sizeof facts->node, "%s", names.nodename);
    read_space(facts->space, sizeof facts->space);
    facts->pid = getpid();
    if (!read_stat(facts->pid, &state, &facts->start))
        facts->start = 0;
}

bool record_lives(pid_t pid, uint64_t start)
{
    char state;
    uint64_t its_start;
    if (pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH))
        return false;
    if (!read_stat(pid, &state, &its_start)) // hidden from us, or gone just now
        return kill(pid, 0) == 0 || errno != ESRCH;
    return state != 'Z' && state != 'X' && its_start == start;
}

// --- folders -----------------------------------------------------------------------------------

// A folder that nobody else can write to or look into.
static bool is_private(const char *path)
{
    struct stat facts;
    return lstat(path, &facts) == 0 && S_ISDIR(facts.st_mode) && facts.st_uid == geteuid() &&
           (facts.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

static bool is_ours(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && facts.st_uid == geteuid();
}

// The folder of the user's state; false when there is none, or it is somebody else's, as under
// sudo.
static bool state_folder(char *path, size_t size)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int length = -1;
    if (state && state[0] == '/')
        length = snprintf(path, size, "%s/ctz/runs", state);
    else if (home && home[0] == '/' && is_ours(home))
        length = snprintf(path, size, "%s/.local/state/ctz/runs", home);
    return length > 0 && (size_t)length < size;
}

static void last_folder(char *path, size_t size)
{
    snprintf(path, size, "/var/tmp/ctz-%u", (unsigned)geteuid());
}

static int make_folders(const char *path)
{
    char part[PATH_MAX];
    for (size_t i = 1;; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, S_IRWXU) < 0 && errno != EEXIST)
            return -1;
        if (path[i] == '\0')
            return 0;
    }
}

// The folder for new records, made when it is not there.
static int make_folder(char *path, size_t size, struct ctz_error *err)
{
    if (state_folder(path, size) && make_folders(path) == 0 && access(path, W_OK) == 0)
        return 0;
    last_folder(path, size);
    if (mkdir(path, S_IRWXU) < 0 && errno != EEXIST)
        return ctz_error_system(err, errno, "%s", path);
    if (!is_private(path))
        return ctz_error_set(err, CTZ_ERROR_DENIED, "%s is not a private folder of ours", path);
    return 0;
}

// --- records -----------------------------------------------------------------------------------

static bool is_run(const char *name)
{
    return strlen(name) == RUN_DIGITS && strspn(name, "0123456789abcdef") == RUN_DIGITS;
}

static bool path_of(char *path, const char *folder, const char *run)
{
    int length = snprintf(path, PATH_MAX, "%s/%s", folder, run);
    return length > 0 && length < PATH_MAX;
}

static enum record_state look_at(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return RECORD_NONE;
    bool is_held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    close(fd);
    return is_held ? RECORD_HELD : RECORD_FREE;
}

enum record_state record_look(const char *run)
{
    char folder[PATH_MAX], path[PATH_MAX];
    if (!is_run(run))
        return RECORD_NONE;
    if (state_folder(folder, sizeof folder) && path_of(path, folder, run)) {
        enum record_state state = look_at(path);
        if (state != RECORD_NONE)
            return state;
    }
    last_folder(folder, sizeof folder);
    return is_private(folder) && path_of(path, folder, run) ? look_at(path) : RECORD_NONE;
}

// A record of long ago, of a run that is no more.
static void remove_stale(const char *path, time_t now)
{
    struct stat facts;
    if (lstat(path, &facts) == 0 && S_ISREG(facts.st_mode) && now - facts.st_mtime > STALE_S &&
        look_at(path) == RECORD_FREE)
        unlink(path);
}

// Is it time to look for stale records again? Says so once.
static bool begin_sweep(const char *folder, time_t now)
{
    char path[PATH_MAX];
    struct stat facts;
    if (!path_of(path, folder, SWEPT) ||
        (lstat(path, &facts) == 0 && facts.st_mtime <= now && now - facts.st_mtime < SWEEP_S))
        return false;
    int fd =
        open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, S_IRUSR | S_IWUSR);
    bool is_ours = fd >= 0 && futimens(fd, NULL) == 0;
    if (fd >= 0)
        close(fd);
    return is_ours;
}

static void sweep(const char *folder)
{
    char path[PATH_MAX];
    time_t now = time(NULL);
    DIR *entries = begin_sweep(folder, now) ? opendir(folder) : NULL;
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        if (is_run(entry->d_name) && path_of(path, folder, entry->d_name))
            remove_stale(path, now);
    if (entries)
        closedir(entries);
}

int record_begin(struct record *record, const char *run, struct ctz_error *err)
{
    char folder[PATH_MAX];
    record->fd = -1;
    if (make_folder(folder, sizeof folder, err) < 0)
        return -1;
    sweep(folder);
    if (!path_of(record->path, folder, run))
        return ctz_error_set(err, CTZ_ERROR_SIZE, "the path of a file in %s is too long", folder);
    int fault = CTZ_FAULT("open");
    record->fd =
        fault ? -1 : open(record->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (record->fd < 0)
        return ctz_error_system(err, fault ? fault : errno, "%s", record->path);
    flock(record->fd, LOCK_EX); // where there are no locks, number and start tell alone
    return 0;
}

void record_end(struct record *record, bool ended_well)
{
    if (record->fd < 0)
        return;
    if (ended_well)
        unlink(record->path);
    close(record->fd);
    record->fd = -1;
}

// --- for Lua -----------------------------------------------------------------------------------

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

// Pushes the name of the recipe's file, or what ran instead: "<eval>".
static void push_recipe(lua_State *L)
{
    const struct ctz_cli *cli = ctz_host(L)->cli;
    const char *command = cli && cli->command ? cli->command->name : "none";
    const char *word = cli && cli->word_count > 0 ? cli->words[0] : "";
    if (strcmp(command, "run") != 0)
        lua_pushfstring(L, "<%s>", command);
    else if (strcmp(word, "-") == 0)
        lua_pushliteral(L, "<stdin>");
    else
        lua_pushstring(L, strrchr(word, '/') ? strrchr(word, '/') + 1 : word);
}

// docker.facts() -> {machine=, boot=, node=, space=, pid=, start=, recipe=}
int docker_l_facts(lua_State *L)
{
    struct record_facts facts;
    record_read_facts(&facts);
    lua_createtable(L, 0, 7);
    push_recipe(L);
    lua_setfield(L, -2, "recipe");
    set_text(L, "machine", facts.machine);
    set_text(L, "boot", facts.boot);
    set_text(L, "node", facts.node);
    set_text(L, "space", facts.space);
    lua_pushinteger(L, facts.pid);
    lua_setfield(L, -2, "pid");
    lua_pushinteger(L, (lua_Integer)facts.start);
    lua_setfield(L, -2, "start");
    return 1;
}

// docker.random(bytes) -> twice as many hexadecimal digits
int docker_l_random(lua_State *L)
{
    unsigned char bytes[RANDOM_MAX];
    char text[2 * RANDOM_MAX + 1];
    size_t size = (size_t)ctz_check_integer(L, 1, "bytes", 1, RANDOM_MAX);
    if (getrandom(bytes, size, 0) != (ssize_t)size)
        return luaL_error(L, "the system gives no random bytes");
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    lua_pushstring(L, text);
    return 1;
}

// docker.lives(pid, start) -> boolean
int docker_l_lives(lua_State *L)
{
    lua_Integer pid = ctz_check_integer(L, 1, "pid", 0, INT_MAX);
    lua_Integer start = ctz_check_integer(L, 2, "start", 0, LUA_MAXINTEGER);
    lua_pushboolean(L, record_lives((pid_t)pid, (uint64_t)start));
    return 1;
}

// docker.begin_record(run) -> true. It is held until the Lua state is closed.
int docker_l_begin_record(lua_State *L)
{
    const char *run = ctz_check_name(L, 1, "run");
    struct ctz_error err = {0};
    struct record *record = ctz_object_new(L, RECORD_CLASS, sizeof *record, 0);
    record->fd = -1;
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, record);
    if (record_begin(record, run, &err) < 0)
        return ctz_raise(L, &err);
    lua_pushboolean(L, true);
    return 1;
}

// docker.look_record(run) -> "held" | "free" | nil
int docker_l_look_record(lua_State *L)
{
    static const char *const states[] = {
        [RECORD_NONE] = NULL, [RECORD_FREE] = "free", [RECORD_HELD] = "held"};
    lua_pushstring(L, states[record_look(ctz_check_name(L, 1, "run"))]);
    return 1;
}

static int l_collect(lua_State *L)
{
    record_end(ctz_object_check(L, 1, RECORD_CLASS), ctz_host(L)->exit_code == 0);
    return 0;
}

void docker_open_record(lua_State *L)
{
    static const struct ctz_reg methods[] = {
        {"docker.record.__gc", l_collect, CTZ_CAP_PURE, 0, 0},
        {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
    };
    ctz_class(L, RECORD_CLASS, methods);
}
