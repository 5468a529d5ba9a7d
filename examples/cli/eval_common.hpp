#pragma once

#include <functional>
#include <string>

#include <daguerre/evaluation/feature_network.hpp>
#include <daguerre/evaluation/report.hpp>

// What all commands of `daguerre eval` share: how their networks are loaded, and what is shown of a run.

namespace daguerre::cli {

class Interrupt;
class Progress;

/// How a network that looks at pictures is loaded, in float32; DAGUERRE_TOKENIZERS says where CLIP's
/// vocabulary lies for networks that bring none, where `tokenizer` is empty.
evaluation::FeatureNetworkOptions network_options(const std::string& engine, int threads,
                                                  const std::string& tokenizer, LogSink log,
                                                  const Interrupt& interrupt);

/// For JobOptions::on_chunk: on a terminal every chunk shows, `what` in front; in a log every tenth part of a
/// long job does. Valid as long as `progress` is.
std::function<void(Index, Index)> chunk_progress(Progress& progress, std::string what);

/// A report's warnings, and the pictures that could not be read, on stderr.
void show_warnings(const evaluation::Report& report, Progress& progress);
/// Those on stderr, the table on standard output, and --json, where it is given. Throws FileError.
void show_report(const evaluation::Report& report, Progress& progress, const std::string& json);
/// Writes --json, where it is given. Throws FileError.
void write_json(const std::string& path, const std::string& text);

}  // namespace daguerre::cli
