#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "measure.hpp"

namespace {

using benchmark::median;

const std::vector<std::string> all_workloads{"pairs",  "large-pairs", "batches", "churn",
                                             "bursts", "overhead",    "scaling", "hand-over"};

/// A row for each metric, in the order of their first appearance; a list of figures a peer.
struct Table {
    std::vector<std::string> metrics;
    std::map<std::string, std::map<std::string, std::vector<double>>> figures;

    void add(const std::string& metric, const std::string& peer, double value) {
        if (!figures.contains(metric)) metrics.push_back(metric);
        figures[metric][peer].push_back(value);
    }
};

/// Runs one workload of one peer in a process of its own.
void measure(const std::string& folder, const std::string& peer, const std::string& workload,
             Table& table) {
    const std::string command = folder + "/peer_" + peer + " " + workload;
    std::FILE* const output = popen(command.c_str(), "r");
    if (output == nullptr) return;
    char line[256];
    while (std::fgets(line, sizeof line, output) != nullptr) {
        const std::string text = line;
        const auto tab = text.find('\t');
        if (tab == std::string::npos) continue;
        table.add(text.substr(0, tab), peer, std::strtod(text.c_str() + tab, nullptr));
    }
    if (pclose(output) != 0) std::fprintf(stderr, "%s failed\n", command.c_str());
}

void print(const Table& table, const std::vector<std::string>& peers) {
    std::printf("%-40s", "medians");
    for (const std::string& peer : peers) std::printf(" %15s", peer.c_str());
    std::printf("\n");
    for (const std::string& metric : table.metrics) {
        std::printf("%-40s", metric.c_str());
        for (const std::string& peer : peers) {
            const auto& row = table.figures.at(metric);
            const auto found = row.find(peer);
            if (found == row.end()) {
                std::printf(" %15s", "-");
            } else {
                std::printf(" %15.2f", median(found->second));
            }
        }
        std::printf("\n");
    }
}

std::vector<std::string> words_of(const std::string& text) {
    std::istringstream stream{text};
    std::vector<std::string> words;
    for (std::string word; std::getline(stream, word, ',');) words.push_back(word);
    return words;
}

}  // namespace

/// compare [rounds] [workload,…] [peer,…]: runs every workload of every peer, round after round,
/// the peers interleaved, so that what the machine does meanwhile falls on all alike.
int main(int count, char** arguments) {
    const std::string program = arguments[0];
    const auto slash = program.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : program.substr(0, slash);
    const int rounds = count > 1 ? std::atoi(arguments[1]) : 5;
    const auto workloads = count > 2 ? words_of(arguments[2]) : all_workloads;
    const auto peers = words_of(count > 3 ? arguments[3] : NUMPOOL_BENCHMARK_PEERS);

    Table table;
    for (const std::string& workload : workloads) {
        for (int round = 0; round < rounds; ++round) {
            for (const std::string& peer : peers) measure(folder, peer, workload, table);
        }
    }
    print(table, peers);
    for (const std::string& missing : words_of(NUMPOOL_BENCHMARK_MISSING)) {
        std::printf("missing here: %s\n", missing.c_str());
    }
    return 0;
}
