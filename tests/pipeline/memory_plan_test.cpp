#include "pipeline/memory_plan.hpp"

#include <string>
#include <vector>

#include "daguerre/core/error.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace daguerre;
using test::expect_error;

namespace {

constexpr std::uint64_t mega = 1'000'000, giga = 1000 * mega;

/// FLUX in bfloat16: CLIP, T5, the transformer stored in `transformer_bytes`, the autoencoder.
std::vector<PartSize> flux(std::uint64_t transformer_bytes = 24 * giga) {
  return {{Part::Kind::text_encoder, true, 246 * mega, 78 * mega, 246 * mega},
          {Part::Kind::text_encoder, true, 9520 * mega, 530 * mega, 9520 * mega},
          {Part::Kind::denoiser, false, 24 * giga, 300 * mega, transformer_bytes},
          {Part::Kind::autoencoder, true, 168 * mega, 10 * mega, 168 * mega}};
}

/// "packed", "mapped", and "needed" behind what is not kept, a word a part.
std::string words(const std::vector<PartSize>& parts, const MemoryOptions& options,
                  std::optional<std::uint64_t> available = std::nullopt) {
  std::string text;
  for (const auto& keeping : plan_memory(parts, options, available))
    text += std::string(text.empty() ? "" : " ") +
            (keeping.placement == ops::WeightPlacement::mapped ? "mapped" : "packed") +
            (keeping.when_needed ? "-needed" : "");
  return text;
}

}  // namespace

TEST_CASE("weights are packed and kept as far as the limit goes, the denoiser first", "[pipeline][plan]") {
  const auto plan = [](std::uint64_t limit) { return words(flux(), {.limit = limit}); };
  CHECK(plan(40 * giga) == "packed packed packed packed");
  CHECK(plan(25 * giga) == "packed mapped packed packed");
  CHECK(plan(24'780 * mega) == "mapped mapped packed packed");  // the smallest before CLIP
  CHECK(plan(24'700 * mega) == "mapped mapped packed mapped");
  CHECK(plan(24'610 * mega) == "mapped mapped-needed packed mapped-needed");
  // Without the denoiser there is room for all others.
  CHECK(plan(12 * giga) == "packed packed mapped packed");
  CHECK(plan(920 * mega) == "mapped mapped mapped mapped");
  CHECK(plan(910 * mega) == "mapped mapped-needed mapped mapped-needed");
}

TEST_CASE("without a limit the machine's memory is shared with pages and activations", "[pipeline][plan]") {
  const auto plan = [](std::uint64_t available, std::uint64_t stored = 24 * giga) {
    return words(flux(stored), {}, available);
  };
  CHECK(words(flux(), {}) == "packed packed packed packed");  // nothing is known
  CHECK(plan(60 * giga) == "packed packed packed packed");
  CHECK(plan(34 * giga) == "packed mapped packed packed");
  // 4 GB are left free: the transformer would just fit.
  CHECK(plan(27 * giga) == "mapped-needed mapped-needed mapped mapped-needed");
  // A laptop of 16 GB: the system keeps as much of the file as it can.
  CHECK(plan(13 * giga) == "mapped-needed mapped-needed mapped mapped-needed");
  CHECK(plan(24 * giga, 7 * giga) == "packed packed mapped packed");
  CHECK(plan(17 * giga, 7 * giga) == "packed mapped mapped packed");
  // No machine is too small to try.
  CHECK(plan(1 * mega) == "mapped-needed mapped-needed mapped mapped-needed");
}

TEST_CASE("what is used once a picture is not packed to several times its size", "[pipeline][plan]") {
  auto parts = flux(7 * giga);
  parts[1].stored = 2680 * mega;  // T5 in blocks of 4 bits
  CHECK(words(parts, {.limit = 60 * giga}) == "packed mapped packed packed");
  CHECK(words(parts, {.weights = WeightStorage::packed, .limit = 60 * giga}) ==
        "packed packed packed packed");
  parts[1].stored = 5060 * mega;  // of 8
  CHECK(words(parts, {.limit = 60 * giga}) == "packed packed packed packed");
}

TEST_CASE("what the caller chose is not decided on", "[pipeline][plan]") {
  using enum WeightStorage;
  CHECK(words(flux(), {packed, Residency::automatic, 33'800 * mega}) ==
        "packed packed-needed packed packed-needed");
  CHECK(words(flux(), {packed, Residency::automatic, 34 * giga}) == "packed packed packed packed");
  CHECK(words(flux(), {mapped, Residency::kept, 40 * giga}) == "mapped mapped mapped mapped");
  CHECK(words(flux(), {mapped, Residency::when_needed, 40 * giga}) ==
        "mapped-needed mapped-needed mapped mapped-needed");
  // Packing for one run takes as long as it saves.
  CHECK(words(flux(), {automatic, Residency::when_needed, 40 * giga}) ==
        "mapped-needed mapped-needed packed mapped-needed");
  CHECK(words(flux(), {packed, Residency::when_needed, 40 * giga}) ==
        "packed-needed packed-needed packed packed-needed");
  auto fixed = flux();
  fixed[1].droppable = false;  // a host's own
  CHECK(words(fixed, {automatic, Residency::when_needed, 25 * giga}) ==
        "mapped-needed mapped packed mapped-needed");
}

TEST_CASE("stages that never meet are not added up", "[pipeline][plan]") {
  const auto parts = flux();
  const auto kept = plan_memory(parts, {WeightStorage::packed, Residency::when_needed, 0}, std::nullopt);
  CHECK(peak(parts, kept) == 24 * giga + (246 + 9520) * mega);
  auto large = parts;
  large[3].packed = 11 * giga;
  CHECK(peak(large, kept) == 35 * giga);
}

TEST_CASE("a limit that is too small says by how much and what would fit", "[pipeline][plan]") {
  const auto refused = [](WeightStorage weights, Residency residency, std::uint64_t limit,
                          std::initializer_list<std::string_view> parts) {
    expect_error<ArgumentError>([&] { plan_memory(flux(), {weights, residency, limit}, 40 * giga); }, parts);
  };
  using enum WeightStorage;
  refused(packed, Residency::automatic, 16 * giga,
          {"memory_limit is 16000 MB", "33766 MB", "17766 MB too much", "weights automatic would fit"});
  refused(packed, Residency::kept, 33'800 * mega,
          {"33934 MB", "134 MB too much", "residency automatic would fit"});
  refused(packed, Residency::kept, 910 * mega, {"weights automatic and residency automatic would fit"});
  refused(automatic, Residency::kept, 910 * mega, {"918 MB", "residency automatic would fit"});
  refused(automatic, Residency::automatic, 500 * mega,
          {"memory_limit is 500 MB", "908 MB", "408 MB too much", "no other option takes less than 908 MB"});
}
