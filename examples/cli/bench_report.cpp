#include "bench_report.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>

#include <nlohmann/json.hpp>

#include "spread.hpp"
#include "text.hpp"

namespace daguerre::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

/// 0 where there is nothing to divide by.
double ratio(double numerator, double denominator) {
  return denominator > 0.0 ? numerator / denominator : 0.0;
}

std::string_view name(ops::Stage stage) {
  switch (stage) {
    case ops::Stage::text_encoder:
      return "text_encoder";
    case ops::Stage::image_encoder:
      return "image_encoder";
    case ops::Stage::step:
      return "step";
    case ops::Stage::decoder:
      return "decoder";
    case ops::Stage::outside:
      break;
  }
  return "outside";
}

struct Timing {
  const char* key;
  const char* title;
  const std::vector<double>& seconds;
};

/// In the order in which they happen.
std::array<Timing, 7> timings(const BenchReport& report) {
  return {{{"load", "load", report.load},
           {"text_encoder", "text encoder", report.text_encoder},
           {"first_step", "first step", report.first_step},
           {"load_to_first_step", "load to first step", report.load_to_first_step},
           {"step", "step", report.step},
           {"decoder", "decoder", report.decoder},
           {"whole", "whole picture, loaded", report.whole}}};
}

std::string table_of(const BenchProfile& profile) {
  std::vector<std::vector<std::string>> rows{{profile.stage, "calls", "ms", "share", "GFLOP/s"}};
  for (const auto& row : profile.rows)
    rows.push_back({row.name, row.calls > 0 ? fixed(row.calls, 0) : "", fixed(1e3 * row.seconds, 2),
                    fixed(100 * ratio(row.seconds, profile.seconds), 1) + " %",
                    row.flops > 0 ? fixed(1e-9 * ratio(row.flops, row.seconds), 0) : ""});
  rows.push_back({"all", "", fixed(1e3 * profile.seconds, 2), "", fixed(1e-9 * profile.rate(), 0)});
  return table(rows, {false, true, true, true, true}) +
         "neither convolution nor matrix product nor attention: " +
         fixed(100 * profile.beside_products(), 1) + " %\n";
}

Json to_json(const BenchProfile& profile) {
  Json kinds = Json::array();
  for (const auto& row : profile.rows)
    kinds.push_back({{"name", row.name},
                     {"calls", row.calls},
                     {"seconds", row.seconds},
                     {"share", ratio(row.seconds, profile.seconds)},
                     {"flops", row.flops},
                     {"gflop_per_second", 1e-9 * ratio(row.flops, row.seconds)}});
  return {{"stage", profile.stage},
          {"seconds", profile.seconds},
          {"gflop_per_second", 1e-9 * profile.rate()},
          {"beside_products", profile.beside_products()},
          {"kinds", kinds}};
}

}  // namespace

double BenchProfile::beside_products() const {
  double products = 0.0;
  for (const auto& row : rows)
    if (row.is_product) products += row.seconds;
  return ratio(seconds - products, seconds);
}

double BenchProfile::rate() const {
  return ratio(std::accumulate(rows.begin(), rows.end(), 0.0,
                               [](double sum, const auto& row) { return sum + row.flops; }),
               seconds);
}

BenchProfile gather(std::span<const std::shared_ptr<ops::Profile>> profiles, ops::Stage stage) {
  double passes = 0.0;
  BenchProfile result;
  result.stage = name(stage);
  for (const auto& profile : profiles) {
    const auto spans = profile->spans(stage);
    passes += stage == ops::Stage::step ? static_cast<double>(spans.size()) : 1.0;
    result.seconds += std::accumulate(spans.begin(), spans.end(), 0.0);
  }
  result.seconds = ratio(result.seconds, passes);
  double elsewhere = result.seconds;
  for (const auto kind : ops::op_kinds) {
    BenchRow row{.name = std::string(ops::name(kind)), .is_product = ops::is_product(kind)};
    for (const auto& profile : profiles) {
      const auto totals = profile->operations(stage, kind);
      row.calls += ratio(static_cast<double>(totals.calls), passes);
      row.seconds += ratio(totals.seconds, passes);
      row.flops += ratio(static_cast<double>(totals.flops), passes);
    }
    elsewhere -= row.seconds;
    if (row.calls > 0) result.rows.push_back(std::move(row));
  }
  std::sort(result.rows.begin(), result.rows.end(),
            [](const BenchRow& a, const BenchRow& b) { return a.seconds > b.seconds; });
  result.rows.push_back({.name = "elsewhere", .seconds = std::max(0.0, elsewhere)});
  return result;
}

std::string to_text(const BenchReport& report, bool with_profile) {
  std::string text = printable(report.model) + ": " + std::to_string(report.width) + " x " +
                     std::to_string(report.height) + ", " + std::to_string(report.steps) +
                     (report.steps == 1 ? " step, " : " steps, ") + std::to_string(report.runs) +
                     (report.runs == 1 ? " run\n" : " runs\n");
  text += printable(report.processor) + ", " + std::to_string(report.threads) +
          (report.threads == 1 ? " thread, " : " threads, ") + report.instruction_set +
          (report.native_bfloat16 ? " with bf16" : "") + ", " + report.engine + " " + report.engine_version +
          ", " + report.precision + "\n" + report.weights + "\n\n";
  std::vector<std::vector<std::string>> rows{{"seconds", "median", "min", "max"}};
  for (const auto& timing : timings(report)) {
    if (timing.seconds.empty()) continue;
    const auto all = spread(timing.seconds);
    rows.push_back({timing.title, fixed(all.median, 4), fixed(all.least, 4), fixed(all.most, 4)});
  }
  text += table(rows, {false, true, true, true}) + "peak memory " + byte_count(report.peak_memory) + "\n";
  if (with_profile)
    for (const auto& profile : report.profiles) text += "\n" + table_of(profile);
  return text;
}

std::string to_json(const BenchReport& report) {
  Json seconds = Json::object();
  for (const auto& timing : timings(report)) {
    if (timing.seconds.empty()) continue;
    const auto all = spread(timing.seconds);
    seconds[timing.key] = {
        {"median", all.median}, {"min", all.least}, {"max", all.most}, {"count", timing.seconds.size()}};
  }
  Json profiles = Json::array();
  for (const auto& profile : report.profiles) profiles.push_back(to_json(profile));
  const Json json{{"version", report.version},
                  {"model", report.model},
                  {"machine",
                   {{"processor", report.processor},
                    {"threads", report.threads},
                    {"instruction_set", report.instruction_set},
                    {"native_bfloat16", report.native_bfloat16}}},
                  {"engine", report.engine},
                  {"engine_version", report.engine_version},
                  {"precision", report.precision},
                  {"width", report.width},
                  {"height", report.height},
                  {"steps", report.steps},
                  {"runs", report.runs},
                  {"seconds", seconds},
                  {"peak_memory_bytes", report.peak_memory},
                  {"profile", profiles}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace daguerre::cli
