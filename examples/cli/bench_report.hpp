#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <daguerre/ops/profile.hpp>

namespace daguerre::cli {

/// Where the time of one kind of operation, or of what is no operation at all, went in one stage.
struct BenchRow {
  std::string name;  ///< of the ops::OpKind, or "elsewhere"
  bool is_product = false;
  double calls = 0.0;    ///< in one pass of the stage
  double seconds = 0.0;  ///< likewise
  double flops = 0.0;    ///< likewise
};

/// One stage of the runs that were measured, operation by operation.
struct BenchProfile {
  std::string stage;
  double seconds = 0.0;  ///< one pass, the mean; the rows add up to it
  std::vector<BenchRow> rows;
  /// The part of the time that is neither convolution nor matrix product nor attention, 0 to 1.
  double beside_products() const;
  /// FLOP/s of the whole.
  double rate() const;
};

/// What `bench` measured. Durations are in seconds, one number for each time it was measured; empty where the
/// model has no such part.
struct BenchReport {
  std::string model, processor, instruction_set, engine, engine_version, precision, weights, version;
  bool native_bfloat16 = false;
  int threads = 0, runs = 0, steps = 0;
  std::int64_t width = 0, height = 0;
  std::vector<double> load, text_encoder, first_step, load_to_first_step, step, decoder, whole;
  std::uint64_t peak_memory = 0;
  std::vector<BenchProfile> profiles;
};

/// What `stage` took over the runs in `profiles`, slowest kind first. One pass of ops::Stage::step is one
/// step, of the others what one run needs.
BenchProfile gather(std::span<const std::shared_ptr<ops::Profile>> profiles, ops::Stage stage);

/// For people, and for programs.
std::string to_text(const BenchReport& report, bool with_profile);
std::string to_json(const BenchReport& report);

}  // namespace daguerre::cli
