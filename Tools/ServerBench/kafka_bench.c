// Loads a Kafka server with librdkafka and prints what came of it: one line of JSON a run.
//
//   kafka_bench produce BROKER TOPIC COUNT SIZE CODEC ACKS CONNECTIONS
//   kafka_bench consume BROKER TOPIC COUNT CONNECTIONS
//   kafka_bench latency BROKER TOPIC RATE SECONDS SIZE ACKS LINGER
//   kafka_bench tcp MEGABYTES
//   kafka_bench floor FILE BYTES CHUNK     (what the kernel takes for a server's work)
//   kafka_bench idle HOST PORT COUNT       (ends with standard input)
//
// The client's own processor time is in each line: where it is larger than the server's, the client
// is the limit.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *broker, *topic_name;
static long wanted;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "kafka_bench: %s: %s\n", what, why);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double cpu_of(int who) {
    struct rusage usage;
    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static double cpu(void) { return cpu_of(RUSAGE_SELF); }

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char error[512];
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK)
        fail(name, error);
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf) {
    char error[512];
    rd_kafka_t *handle = rd_kafka_new(type, conf, error, sizeof error);
    if (!handle) fail("rd_kafka_new", error);
    return handle;
}

// MARK: Producing

struct producer {
    pthread_t thread;
    rd_kafka_t *handle;
    long count, size, delivered, failed;
    int index, connections;
};

static void delivered(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque) {
    (void)handle;
    struct producer *producer = opaque;
    if (message->err)
        producer->failed++;
    else
        producer->delivered++;
}

static void *produce(void *argument) {
    struct producer *producer = argument;
    char *value = malloc((size_t)producer->size);
    // Half of it is hard to compress.
    for (long at = 0; at < producer->size; at++)
        value[at] = at % 2 ? 'x' : (char)('a' + rand() % 26);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer->handle, topic_name, NULL);
    for (long sent = 0; sent < producer->count;) {
        if (rd_kafka_produce(
                topic, producer->index, RD_KAFKA_MSG_F_COPY, value, (size_t)producer->size, NULL,
                0, NULL) == 0) {
            if (++sent % 1000 == 0) rd_kafka_poll(producer->handle, 0);
        } else {
            rd_kafka_poll(producer->handle, 1);
        }
    }
    rd_kafka_flush(producer->handle, 120000);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(producer->handle);
    free(value);
    return NULL;
}

static void run_produce(long count, long size, const char *codec, const char *acks, int many) {
    struct producer *all = calloc((size_t)many, sizeof *all);
    double start = now(), used = cpu();
    for (int index = 0; index < many; index++) {
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        set(conf, "bootstrap.servers", broker);
        set(conf, "compression.type", codec);
        set(conf, "acks", acks);
        set(conf, "linger.ms", "5");
        set(conf, "batch.num.messages", "100000");
        set(conf, "queue.buffering.max.messages", "200000");
        rd_kafka_conf_set_dr_msg_cb(conf, delivered);
        all[index] = (struct producer){
            .count = count / many, .size = size, .index = index, .connections = many};
        rd_kafka_conf_set_opaque(conf, &all[index]);
        all[index].handle = client(RD_KAFKA_PRODUCER, conf);
        pthread_create(&all[index].thread, NULL, produce, &all[index]);
    }
    long done = 0, failed = 0;
    for (int index = 0; index < many; index++) {
        pthread_join(all[index].thread, NULL);
        done += all[index].delivered;
        failed += all[index].failed;
    }
    double time = now() - start;
    if (failed || done != count / many * many) fail("produce", "not all were delivered");
    printf(
        "{\"perSecond\":%.0f,\"megabytesPerSecond\":%.1f,\"seconds\":%.3f,\"clientCPU\":%.3f}\n",
        (double)done / time, (double)(done * size) / time / 1e6, time, cpu() - used);
    free(all);
}

// MARK: Consuming

struct consumer {
    pthread_t thread;
    int index;
    long count, bytes;
};

static void *consume(void *argument) {
    struct consumer *consumer = argument;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", broker);
    set(conf, "fetch.message.max.bytes", "4194304");
    set(conf, "queued.min.messages", "1000000");
    rd_kafka_t *handle = client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(handle, topic_name, NULL);
    rd_kafka_consume_start(topic, consumer->index, RD_KAFKA_OFFSET_BEGINNING);
    rd_kafka_message_t **batch = malloc(10000 * sizeof *batch);
    double limit = now() + 120;
    while (consumer->count < wanted && now() < limit) {
        ssize_t got = rd_kafka_consume_batch(topic, consumer->index, 100, batch, 10000);
        for (ssize_t at = 0; at < got; at++) {
            if (!batch[at]->err) {
                consumer->count++;
                consumer->bytes += (long)batch[at]->len;
            }
            rd_kafka_message_destroy(batch[at]);
        }
    }
    rd_kafka_consume_stop(topic, consumer->index);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(handle);
    free(batch);
    return NULL;
}

static void run_consume(long count, int many) {
    struct consumer *all = calloc((size_t)many, sizeof *all);
    wanted = count / many;
    double start = now(), used = cpu();
    for (int index = 0; index < many; index++) {
        all[index].index = index;
        pthread_create(&all[index].thread, NULL, consume, &all[index]);
    }
    long done = 0, bytes = 0;
    for (int index = 0; index < many; index++) {
        pthread_join(all[index].thread, NULL);
        done += all[index].count;
        bytes += all[index].bytes;
    }
    double time = now() - start;
    if (done < wanted * many) fail("consume", "not all came");
    printf(
        "{\"perSecond\":%.0f,\"megabytesPerSecond\":%.1f,\"seconds\":%.3f,\"clientCPU\":%.3f}\n",
        (double)done / time, (double)bytes / time / 1e6, time, cpu() - used);
    free(all);
}

// MARK: Latency

static double *to_answer, *to_reader;
static long answered, read_back;

static void answered_at(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque) {
    (void)handle;
    (void)opaque;
    double due;
    if (message->err) fail("latency", rd_kafka_err2str(message->err));
    memcpy(&due, message->payload, sizeof due);
    to_answer[answered++] = now() - due;
}

static void *read_all(void *argument) {
    rd_kafka_t *handle = argument;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(handle, topic_name, NULL);
    rd_kafka_consume_start(topic, 0, RD_KAFKA_OFFSET_END);
    while (read_back < wanted) {
        rd_kafka_message_t *message = rd_kafka_consume(topic, 0, 100);
        if (!message) continue;
        if (!message->err) {
            double due;
            memcpy(&due, message->payload, sizeof due);
            to_reader[read_back++] = now() - due;
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consume_stop(topic, 0);
    rd_kafka_topic_destroy(topic);
    return NULL;
}

static int rising(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return difference < 0 ? -1 : difference > 0;
}

static void print_quantiles(const char *name, double *times, long count) {
    qsort(times, (size_t)count, sizeof *times, rising);
    printf(
        "\"%sP50\":%.3f,\"%sP99\":%.3f,\"%sP999\":%.3f", name, times[count / 2] * 1e3, name,
        times[count * 99 / 100] * 1e3, name, times[count * 999 / 1000] * 1e3);
}

static void run_latency(
    long rate, long seconds, long size, const char *acks, const char *linger) {
    wanted = rate * seconds;
    to_answer = malloc((size_t)wanted * sizeof *to_answer);
    to_reader = malloc((size_t)wanted * sizeof *to_reader);
    rd_kafka_conf_t *reading = rd_kafka_conf_new();
    set(reading, "bootstrap.servers", broker);
    set(reading, "fetch.wait.max.ms", "100");
    rd_kafka_t *reader = client(RD_KAFKA_CONSUMER, reading);
    pthread_t thread;
    pthread_create(&thread, NULL, read_all, reader);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", broker);
    set(conf, "acks", acks);
    set(conf, "linger.ms", linger);
    rd_kafka_conf_set_dr_msg_cb(conf, answered_at);
    rd_kafka_t *handle = client(RD_KAFKA_PRODUCER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(handle, topic_name, NULL);
    char *value = calloc(1, (size_t)size);
    // The reader is at the end before the first is sent.
    sleep(2);
    double start = now();
    for (long sent = 0; sent < wanted; sent++) {
        // Counted from when it is due, so that what waits behind a slow one counts too.
        double due = start + (double)sent / (double)rate;
        for (double left; (left = due - now()) > 0;) {
            rd_kafka_poll(handle, 0);
            // The processor is the server's meanwhile.
            if (left > 60e-6) usleep(50);
        }
        memcpy(value, &due, sizeof due);
        while (rd_kafka_produce(
            topic, 0, RD_KAFKA_MSG_F_COPY, value, (size_t)size, NULL, 0, NULL))
            rd_kafka_poll(handle, 1);
    }
    while (answered < wanted) rd_kafka_poll(handle, 10);
    pthread_join(thread, NULL);
    printf("{");
    print_quantiles("ack", to_answer, wanted);
    printf(",");
    print_quantiles("endToEnd", to_reader, wanted);
    printf("}\n");
}

// MARK: Limits

static void *swallow(void *argument) {
    int descriptor = *(int *)argument;
    static char buffer[1 << 18];
    while (read(descriptor, buffer, sizeof buffer) > 0) {}
    return NULL;
}

static void connect_pair(int *sender, int *receiver) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1))
        fail("tcp", "cannot listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    *sender = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(*sender, (struct sockaddr *)&address, length)) fail("tcp", "cannot connect");
    *receiver = accept(listener, NULL, NULL);
    close(listener);
}

static void send_all(int sender, long count) {
    char *buffer = calloc(1, 1 << 18);
    while (count > 0) {
        ssize_t sent = write(sender, buffer, count < 1 << 18 ? (size_t)count : 1 << 18);
        if (sent <= 0) fail("tcp", "cannot send");
        count -= sent;
    }
    close(sender);
    free(buffer);
}

static void run_tcp(long megabytes) {
    int sender, receiver;
    connect_pair(&sender, &receiver);
    pthread_t thread;
    double start = now();
    pthread_create(&thread, NULL, swallow, &receiver);
    send_all(sender, megabytes * 1000000);
    pthread_join(thread, NULL);
    printf("{\"megabytesPerSecond\":%.1f}\n", (double)megabytes / (now() - start));
}

struct sending {
    int socket;
    long count;
};

static void *send_them(void *argument) {
    struct sending *sending = argument;
    send_all(sending->socket, sending->count);
    return NULL;
}

// Chunk after chunk is read from a socket into the same memory, written to a file and synced:
// nothing that keeps the same bytes as safe takes less.
static void run_floor(const char *path, long count, long chunk) {
    int receiver;
    struct sending sending = {.count = count};
    connect_pair(&sending.socket, &receiver);
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (file < 0) fail("floor", "cannot create the file");
    char *buffer = malloc((size_t)chunk);
    pthread_t thread;
    double used = cpu_of(RUSAGE_THREAD);
    pthread_create(&thread, NULL, send_them, &sending);
    for (long done = 0; done < count;) {
        long size = count - done < chunk ? count - done : chunk;
        if (recv(receiver, buffer, (size_t)size, MSG_WAITALL) != size)
            fail("floor", "cannot receive");
        if (pwrite(file, buffer, (size_t)size, done) != size || fdatasync(file))
            fail("floor", "cannot write");
        done += size;
    }
    printf("{\"cpu\":%.3f}\n", cpu_of(RUSAGE_THREAD) - used);
    pthread_join(thread, NULL);
    close(file);
    unlink(path);
}

static void run_idle(const char *host, int port, int count) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    // ApiVersions, version 0, correlation id 1, no client id.
    static const char request[] = {0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, -1, -1};
    char answer[4096];
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    double start = now();
    for (int index = 0; index < count; index++) {
        int descriptor = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(descriptor, (struct sockaddr *)&address, sizeof address) ||
            write(descriptor, request, sizeof request) != sizeof request ||
            read(descriptor, answer, sizeof answer) <= 0)
            fail("idle", "a connection is not answered");
    }
    printf("{\"connections\":%d,\"seconds\":%.3f}\n", count, now() - start);
    fflush(stdout);
    while (getchar() != EOF) {}
}

int main(int count, char **arguments) {
    if (count < 2) fail("usage", "see the head of kafka_bench.c");
    const char *mode = arguments[1];
    if (!strcmp(mode, "tcp") && count == 3) {
        run_tcp(atol(arguments[2]));
        return 0;
    }
    if (!strcmp(mode, "floor") && count == 5) {
        run_floor(arguments[2], atol(arguments[3]), atol(arguments[4]));
        return 0;
    }
    if (!strcmp(mode, "idle") && count == 5) {
        run_idle(arguments[2], atoi(arguments[3]), atoi(arguments[4]));
        return 0;
    }
    if (count < 6) fail("usage", "see the head of kafka_bench.c");
    broker = arguments[2];
    topic_name = arguments[3];
    if (!strcmp(mode, "produce") && count == 9)
        run_produce(
            atol(arguments[4]), atol(arguments[5]), arguments[6], arguments[7],
            atoi(arguments[8]));
    else if (!strcmp(mode, "consume") && count == 6)
        run_consume(atol(arguments[4]), atoi(arguments[5]));
    else if (!strcmp(mode, "latency") && count == 9)
        run_latency(
            atol(arguments[4]), atol(arguments[5]), atol(arguments[6]), arguments[7],
            arguments[8]);
    else
        fail("usage", "see the head of kafka_bench.c");
    return 0;
}
