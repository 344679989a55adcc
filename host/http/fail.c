// fail.c: what went wrong, in words for people.
// SPDX-License-Identifier: MIT
#include "host/http/inner.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define X509_NOT_YET_VALID      9 // X509_V_ERR_..., openssl/x509_vfy.h; they do not change
#define X509_EXPIRED            10
#define X509_SELF_SIGNED        18
#define X509_SELF_SIGNED_CHAIN  19
#define X509_NO_ISSUER          20
#define X509_NO_FIRST_SIGNATURE 21
#define X509_REVOKED            23
#define X509_WRONG_PURPOSE      26
#define X509_HOST_MISMATCH      62
#define X509_ADDRESS_MISMATCH   64
#define X509_WEAK_KEY           66
#define X509_WEAK_CA_KEY        67
#define X509_WEAK_DIGEST        68

#define WORDS_SHOWN 300 // characters of an error body in a message

bool ctz_http_may_repeat(const struct ctz_http_request *request)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < CTZ_COUNT(methods) && !request->once; i++)
        if (strcmp(methods[i], request->method) == 0)
            return true;
    return false;
}

// --- TLS ---------------------------------------------------------------------------------------

static const struct {
    long result;
    const char *code, *words, *hint;
} reasons[] = {
    {X509_EXPIRED, "CERT_EXPIRED", "its certificate has expired", NULL},
    {X509_NOT_YET_VALID, "CERT_NOT_YET_VALID", "its certificate is not valid yet",
     "is the clock of this machine right?"},
    {X509_SELF_SIGNED, "CERT_SELF_SIGNED", "its certificate is signed by itself",
     "tls={ca=FILE} names a certificate to trust"},
    {X509_SELF_SIGNED_CHAIN, "CERT_UNKNOWN_CA", "its certificate comes from an unknown authority",
     "tls={ca=FILE} names the authority"},
    {X509_NO_ISSUER, "CERT_UNKNOWN_CA", "its certificate comes from an unknown authority",
     "tls={ca=FILE} names the authority"},
    {X509_NO_FIRST_SIGNATURE, "CERT_UNKNOWN_CA", "its certificate comes from an unknown authority",
     "tls={ca=FILE} names the authority; does the server send the whole chain?"},
    {X509_REVOKED, "CERT_REVOKED", "its certificate is revoked", NULL},
    {X509_WRONG_PURPOSE, "CERT_WRONG_PURPOSE", "its certificate is not made for servers", NULL},
    {X509_HOST_MISMATCH, "CERT_WRONG_HOST", "its certificate is for another host",
     "tls={server_name=NAME} names the host to expect"},
    {X509_ADDRESS_MISMATCH, "CERT_WRONG_HOST", "its certificate is for another host",
     "tls={server_name=NAME} names the host to expect"},
    {X509_WEAK_KEY, "CERT_WEAK_KEY", "its certificate has too weak a key", NULL},
    {X509_WEAK_CA_KEY, "CERT_WEAK_KEY", "the key of its authority is too weak", NULL},
    {X509_WEAK_DIGEST, "CERT_WEAK_KEY", "its certificate is signed with too weak a digest", NULL},
};

// What OpenSSL says where no verification result tells more.
static void fail_certificate(struct ctz_http_request *request)
{
    struct ctz_error *err = &request->err;
    const char *words = request->transfer->words;
    long result = 0;
    curl_easy_getinfo(request->transfer->easy, CURLINFO_SSL_VERIFYRESULT, &result);
    if (strstr(words, "subject name") || strstr(words, "subjectAltName"))
        result = X509_HOST_MISMATCH; // libcurl compares names itself, after OpenSSL was content
    if (strcmp(words, "SSL certificate verification failed") == 0) {
        // libcurl's words for the alert "certificate expired", when OpenSSL was content with theirs
        ctz_error_set(err, CTZ_ERROR_AUTH,
                      "the server refuses our side of TLS: our certificate has expired");
        return;
    }
    for (size_t i = 0; i < CTZ_COUNT(reasons); i++) {
        if (reasons[i].result != result)
            continue;
        ctz_error_set(err, CTZ_ERROR_PROTOCOL, "%s is not trusted: %s (%s)", request->url.host,
                      reasons[i].words, words);
        ctz_error_code(err, reasons[i].code);
        if (reasons[i].hint)
            ctz_error_hint(err, "%s", reasons[i].hint);
        return;
    }
    ctz_error_set(err, CTZ_ERROR_PROTOCOL, "%s is not trusted: %s", request->url.host, words);
    ctz_error_code(err, "CERT_REFUSED");
}

// Did the way break, and neither side of TLS refuse?
static bool broke(const char *words)
{
    return strstr(words, "SSL_ERROR_SYSCALL") || strstr(words, "Recv failure") ||
           strstr(words, "Send failure") || strstr(words, "unexpected eof");
}

static void fail_handshake(struct ctz_http_request *request)
{
    struct ctz_error *err = &request->err;
    const char *words = request->transfer->words;
    if (strstr(words, "certificate required") || strstr(words, "alert handshake failure") ||
        strstr(words, "alert bad certificate") || strstr(words, "alert certificate") ||
        strstr(words, "alert unknown ca")) { // "alert certificate expired", "revoked", "unknown"
        ctz_error_set(err, CTZ_ERROR_AUTH, "the server refuses our side of TLS: %s", words);
        ctz_error_hint(err, "it may want a certificate: tls={cert=FILE, key=FILE}");
    } else if (strstr(words, "unsupported protocol") || strstr(words, "alert protocol version")) {
        ctz_error_set(err, CTZ_ERROR_PROTOCOL, "the server speaks only TLS older than 1.2: %s",
                      words);
    } else if (strstr(words, "wrong version number") || strstr(words, "packet length too long")) {
        ctz_error_set(err, CTZ_ERROR_PROTOCOL, "the server does not speak TLS: %s", words);
        ctz_error_hint(err, "is it http://%s:%u?", request->url.host, request->url.port);
    } else {
        ctz_error_set(err, CTZ_ERROR_PROTOCOL, "TLS failed: %s", words);
        err->retryable = broke(words);
    }
}

// --- connections -------------------------------------------------------------------------------

// Who could not be reached, for people.
static void name_peer(const struct ctz_http_request *request, char *text, size_t size)
{
    if (request->unix_socket)
        snprintf(text, size, "%s", request->unix_socket);
    else if (request->proxy_at.host)
        snprintf(text, size, "the proxy %s:%u", request->proxy_at.host, request->proxy_at.port);
    else
        snprintf(text, size, "%s:%u", request->url.host, request->url.port);
}

static void fail_connect(struct ctz_http_request *request)
{
    struct ctz_error *err = &request->err;
    char peer[300];
    long number = request->os_errno;
    if (!number)
        curl_easy_getinfo(request->transfer->easy, CURLINFO_OS_ERRNO, &number);
    name_peer(request, peer, sizeof peer);
    if (number)
        ctz_error_system(err, (int)number, "cannot connect to %s", peer);
    else
        ctz_error_set(err, CTZ_ERROR_UNREACHABLE, "cannot connect to %s: %s", peer,
                      request->transfer->words);
    if (number == ENOENT || number == ENOTSOCK || number == ECONNREFUSED || number == EPROTOTYPE)
        err->kind = CTZ_ERROR_UNREACHABLE;
    err->retryable = err->kind == CTZ_ERROR_UNREACHABLE || err->kind == CTZ_ERROR_TIMEOUT;
    if (number == ECONNREFUSED)
        ctz_error_hint(err, request->unix_socket ? "the socket is left over: nobody listens on it"
                                                 : "nothing listens on that port");
}

static void fail_proxy(struct ctz_http_request *request, long status)
{
    struct ctz_error *err = &request->err;
    ctz_error_set(err, status == 407 ? CTZ_ERROR_AUTH : CTZ_ERROR_UNREACHABLE,
                  "the proxy %s does not connect us: %ld %s", request->proxy_at.host, status,
                  ctz_http_reason((int)status));
    err->status = (int)status;
    if (status == 407)
        ctz_error_hint(err, "give the proxy's user and password: http://user:password@%s:%u",
                       request->proxy_at.host, request->proxy_at.port);
}

// The connection ended in the body. A refusal is one without its reason, too. (libcurl before 8.0
// drops a whole body of HTTP/2 when GOAWAY and a reset come with it: so answers who refuses a body
// unread, as Go's servers.)
static void fail_body(struct ctz_http_request *request, const char *words)
{
    struct ctz_error *err = &request->err;
    unsigned long long received = request->received;
    int status = request->head.status;
    const char *gap = *words ? ": " : "";
    if (status < 400) {
        ctz_error_set(err, CTZ_ERROR_PROTOCOL,
                      "the body is truncated: the connection ended after %llu bytes%s%s", received,
                      gap, words);
        ctz_error_code(err, "BODY_CUT");
        return;
    }
    ctz_error_set(
        err, ctz_http_kind_of_status(status),
        "the server answers %d %s; the connection ended after %llu bytes of its reason%s%s", status,
        ctz_http_reason(status), received, gap, words);
    err->status = status;
    ctz_error_code(err, "REASON_CUT");
}

// The connection ended in the middle. words: libcurl's, where they are about that
static void fail_cut(struct ctz_http_request *request, const char *words)
{
    struct ctz_error *err = &request->err;
    long proxy_status = 0;
    curl_easy_getinfo(request->transfer->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    bool is_malformed = strstr(words, "chunk") != NULL;
    if (strstr(words, "SSL_") && strstr(words, "alert")) { // TLS 1.3 tells after the handshake
        fail_handshake(request);
        return;
    }
    if (request->proxy_at.host && proxy_status >= 300) {
        fail_proxy(request, proxy_status);
        return;
    }
    if (is_malformed)
        ctz_error_set(err, CTZ_ERROR_PROTOCOL, "the body is malformed: %s", words);
    else if (request->head.complete)
        fail_body(request, words);
    else
        ctz_error_set(err, CTZ_ERROR_UNREACHABLE, "the connection ended before an answer came%s%s",
                      *words ? ": " : "", words);
    err->retryable = !is_malformed && (ctz_http_may_repeat(request) || !request->passes);
}

static void fail_memory(struct ctz_http_request *request)
{
    if (request->stream && request->compressed && request->head.complete) {
        ctz_error_set(&request->err, CTZ_ERROR_SIZE,
                      "the body expands too fast to be streamed, or memory ran out");
        ctz_error_hint(&request->err, "compressed=false takes it as it is");
        return;
    }
    if (request->passes && !request->head.complete && request->transfer &&
        !*request->transfer->words) { // libcurl's word for a header line over its own 100 KiB
        ctz_error_set(&request->err, CTZ_ERROR_SIZE,
                      "a header line of the answer is longer than 100 KiB, or memory ran out");
        return;
    }
    ctz_error_set(&request->err, CTZ_ERROR_IO, "out of memory");
}

void ctz_http_fail_curl(struct ctz_http_request *request, CURLcode code)
{
    struct ctz_error *err = &request->err;
    if (err->kind)
        return;
    const char *words = request->transfer->words;
    bool is_second = code == CURLE_COULDNT_CONNECT || code == CURLE_SSL_CONNECT_ERROR;
    if (is_second && request->passes && !ctz_http_may_repeat(request)) {
        fail_cut(request, ""); // it was sent; libcurl was about to send it again
        return;
    }
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        fail_certificate(request);
        break;
    case CURLE_SSL_CONNECT_ERROR:
        fail_handshake(request);
        break;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
        ctz_error_set(err, CTZ_ERROR_USAGE, "a certificate or key of ours cannot be used: %s",
                      *words ? words : curl_easy_strerror(code));
        break;
    case CURLE_COULDNT_CONNECT:
        fail_connect(request);
        break;
    case CURLE_OPERATION_TIMEDOUT:
        ctz_http_fail_timeout(request, "no connection",
                              request->connect_timeout_s > 0 ? request->connect_timeout_s : 30);
        break;
    case CURLE_ABORTED_BY_CALLBACK: // on_pass: the same, on another connection
        fail_cut(request, "");
        break;
    case CURLE_SEND_FAIL_REWIND: // the same, of a body that cannot be sent again
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        if (request->os_errno)
            fail_connect(request);
        else
            fail_cut(request, words);
        break;
    case CURLE_OUT_OF_MEMORY:
        fail_memory(request);
        break;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        ctz_error_set(err, CTZ_ERROR_PROTOCOL, "the answer is malformed: %s",
                      *words ? words : curl_easy_strerror(code));
        break;
    case CURLE_PROXY:
        ctz_error_set(err, CTZ_ERROR_UNREACHABLE, "the proxy %s does not connect us: %s",
                      request->proxy_at.host, words);
        break;
    default:
        ctz_error_set(err, CTZ_ERROR_IO, "libcurl: %s", *words ? words : curl_easy_strerror(code));
    }
}

// --- time --------------------------------------------------------------------------------------

// What the request was busy with, for people.
static void describe(const struct ctz_http_request *request, char *text, size_t size)
{
    unsigned hanging = request->client->lookups_abandoned;
    if (request->state == HTTP_RESOLVING && hanging)
        snprintf(text, size,
                 "looking up %s; %u given-up look-ups still hang: does a name server "
                 "answer?",
                 request->url.host, hanging);
    else if (request->state == HTTP_RESOLVING)
        snprintf(text, size, "looking up %s", request->url.host);
    else if (request->state == HTTP_QUEUED)
        snprintf(text, size, "waiting for one of %u connections", request->client->max_active);
    else if (!request->passes && request->state == HTTP_RUNNING) {
        size_t length = (size_t)snprintf(text, size, "connecting to ");
        name_peer(request, text + length, size - length);
    } else if (!request->head.complete)
        snprintf(text, size, "waiting for the answer");
    else
        snprintf(text, size, "after %llu bytes of the body", (unsigned long long)request->received);
}

void ctz_http_fail_timeout(struct ctz_http_request *request, const char *what, double seconds)
{
    char doing[300];
    describe(request, doing, sizeof doing);
    ctz_error_set(&request->err, CTZ_ERROR_TIMEOUT, "%s within %g s (%s)", what, seconds, doing);
    request->err.retryable = ctz_http_may_repeat(request) || !request->passes;
}

// --- the server's own no -----------------------------------------------------------------------

// The beginning of the body on one line, without control bytes. A page for browsers says nothing.
static void quote_body(const struct ctz_http_request *request, char *text, size_t size)
{
    size_t length, used = 0;
    const char *body = ctz_http_body(request, &length);
    const char *type = ctz_http_header(request, "Content-Type");
    if (type && strncasecmp(type, "text/html", 9) == 0)
        length = 0;
    for (size_t i = 0; i < length && used + 1 < size; i++) {
        unsigned char byte = (unsigned char)body[i];
        bool is_gap = byte <= ' ' || byte == 0x7F;
        if (!is_gap)
            text[used++] = (char)byte;
        else if (used && text[used - 1] != ' ')
            text[used++] = ' ';
    }
    while (used && ((unsigned char)text[used - 1] & 0xC0) == 0x80 && used + 1 >= size)
        used--; // a character of several bytes that was cut
    while (used && text[used - 1] == ' ')
        used--;
    text[used] = '\0';
}

int ctz_http_check(const struct ctz_http_request *request, struct ctz_error *err)
{
    int status = request->head.status;
    if (status < 400)
        return 0;
    char words[WORDS_SHOWN];
    quote_body(request, words, sizeof words);
    ctz_error_set(err, ctz_http_kind_of_status(status), "%s %.300s: %s%s%s%s", request->method,
                  request->url.text, ctz_http_reason(status), *words ? ", the server says \"" : "",
                  words, *words ? "\"" : "");
    err->status = status;
    ctz_error_target(err, request->url.text);
    err->retry_after_s =
        ctz_http_retry_after(ctz_http_header(request, "Retry-After"), (int64_t)time(NULL));
    bool may_pass = status == 408 || status == 425 || status >= 500;
    err->retryable = status == 429 || status == 503 ||
                     (may_pass && status != 501 && status != 505 && ctz_http_may_repeat(request));
    if (status == 401 && !ctz_http_lines_find(&request->headers, "Authorization"))
        ctz_error_hint(err, "the request named no user: auth={user=, password=} or bearer=");
    return -1;
}
