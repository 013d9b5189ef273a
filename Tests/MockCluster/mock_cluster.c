/* librdkafka's mock cluster as a program: several brokers in one process, over real sockets, that
 * a test can command.
 *
 *   mock_cluster BROKERS [TOPIC:PARTITIONS ...]
 *
 * Prints where its brokers listen, then reads commands, a line each, and answers each with a line:
 *
 *   leader TOPIC PARTITION BROKER    who leads a partition from now on
 *   down BROKER, up BROKER           a broker takes no connections, or takes some again
 *   error API CODE COUNT             the next COUNT requests of an API get an error; -195 ends
 *                                    their connection instead
 *   coordinator TYPE KEY BROKER      who coordinates a `group` or a `transaction` from now on
 *
 * It ends with its input. Needs librdkafka-dev.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Creates what "TOPIC:PARTITIONS" names, on as many brokers as there are, three at most. */
static int create(rd_kafka_mock_cluster_t *cluster, const char *text, int brokers) {
    char name[256];
    const char *colon = strrchr(text, ':');
    if (!colon || colon - text >= (long)sizeof(name)) return 0;
    memcpy(name, text, (size_t)(colon - text));
    name[colon - text] = 0;
    return !rd_kafka_mock_topic_create(cluster, name, atoi(colon + 1), brokers < 3 ? brokers : 3);
}

static void push_errors(rd_kafka_mock_cluster_t *cluster, short api, int code, int count) {
    for (int i = 0; i < count; i++)
        rd_kafka_mock_push_request_errors(cluster, api, 1, (rd_kafka_resp_err_t)code);
}

static int obey(rd_kafka_mock_cluster_t *cluster, const char *line) {
    char topic[256], type[32];
    int a, b, c;
    if (sscanf(line, "leader %255s %d %d", topic, &a, &b) == 3)
        return !rd_kafka_mock_partition_set_leader(cluster, topic, a, b);
    if (sscanf(line, "down %d", &a) == 1) return !rd_kafka_mock_broker_set_down(cluster, a);
    if (sscanf(line, "up %d", &a) == 1) return !rd_kafka_mock_broker_set_up(cluster, a);
    if (sscanf(line, "coordinator %31s %255s %d", type, topic, &a) == 3)
        return !rd_kafka_mock_coordinator_set(cluster, type, topic, a);
    if (sscanf(line, "error %d %d %d", &a, &b, &c) == 3) {
        push_errors(cluster, (short)a, b, c);
        return 1;
    }
    return 0;
}

int main(int count, char **arguments) {
    char problem[512], line[512];
    int brokers = count > 1 ? atoi(arguments[1]) : 0;
    if (brokers < 1) {
        fprintf(stderr, "usage: mock_cluster BROKERS [TOPIC:PARTITIONS ...]\n");
        return 64;
    }
    rd_kafka_t *client =
        rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), problem, sizeof(problem));
    if (!client) {
        fprintf(stderr, "mock_cluster: %s\n", problem);
        return 1;
    }
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(client, brokers);
    for (int i = 2; i < count; i++) {
        if (!create(cluster, arguments[i], brokers)) {
            fprintf(stderr, "mock_cluster: no topic can be made of %s\n", arguments[i]);
            return 1;
        }
    }
    printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        printf("%s\n", obey(cluster, line) ? "done" : "refused");
        fflush(stdout);
    }
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(client);
    return 0;
}
