#include "daguerre/ops/profile.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using ops::OpKind;
using ops::Profile;
using ops::Stage;

namespace {

ops::Context profiled_context(const std::string& engine = "native") {
  auto context = test::context_for(engine);
  context.profile = std::make_shared<Profile>();
  return context;
}

void wait(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

}  // namespace

TEST_CASE("A profile books an operation inside another one once", "[profile]") {
  const auto context = profiled_context();
  const auto before = std::chrono::steady_clock::now();
  {
    const Profile::Scope outer(context, OpKind::attention, 100);
    wait(0.01);
    {
      Profile::Scope inner(context, OpKind::cast);
      wait(0.03);
      inner.add_flops(7);
    }
    const Profile::Scope second(context, OpKind::cast);
  }
  const double all = std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
  const auto outer = context.profile->operations(Stage::outside, OpKind::attention);
  const auto inner = context.profile->operations(Stage::outside, OpKind::cast);
  CHECK(outer.calls == 1);
  CHECK(outer.flops == 100);
  CHECK(outer.seconds >= 0.01);
  CHECK(inner.calls == 2);
  CHECK(inner.flops == 7);
  CHECK(inner.seconds >= 0.03);
  CHECK(outer.seconds + inner.seconds <= all);

  context.profile->clear();
  CHECK(context.profile->operations(Stage::outside, OpKind::attention).calls == 0);
}

TEST_CASE("A profile books operations under the stage they run in", "[profile]") {
  const auto context = profiled_context();
  const auto& profile = *context.profile;
  for (int i = 0; i < 2; ++i) {
    const Profile::Span span(context, Stage::step);
    const Profile::Scope outer(context, OpKind::embedding);
    const Profile::Scope inner(context, OpKind::linear);
    wait(0.002);
  }
  { const Profile::Span span(context, Stage::decoder); }
  { const Profile::Scope scope(context, OpKind::linear); }
  REQUIRE(profile.spans(Stage::step).size() == 2);
  CHECK(profile.spans(Stage::step)[0] >= 0.002);
  CHECK(profile.spans(Stage::decoder).size() == 1);
  CHECK(profile.spans(Stage::text_encoder).empty());
  CHECK(profile.operations(Stage::step, OpKind::linear).calls == 2);
  CHECK(profile.operations(Stage::step, OpKind::embedding).calls == 2);
  CHECK(profile.operations(Stage::decoder, OpKind::linear).calls == 0);
  CHECK(profile.operations(Stage::outside, OpKind::linear).calls == 1);
}

TEST_CASE("Threads may share a profile", "[profile]") {
  const auto context = profiled_context();
  constexpr int rounds = 500;
  const auto work = [&context](Stage stage, OpKind kind) {
    for (int i = 0; i < rounds; ++i) {
      const Profile::Span span(context, stage);
      const Profile::Scope outer(context, kind, 2);
      const Profile::Scope inner(context, OpKind::add);
    }
  };
  {
    const std::jthread first(work, Stage::step, OpKind::conv2d);
    const std::jthread second(work, Stage::decoder, OpKind::linear);
    const std::jthread third(work, Stage::step, OpKind::conv2d);
  }
  const auto& profile = *context.profile;
  CHECK(profile.operations(Stage::step, OpKind::conv2d).calls == 2 * rounds);
  CHECK(profile.operations(Stage::step, OpKind::conv2d).flops == 4 * rounds);
  CHECK(profile.operations(Stage::step, OpKind::linear).calls == 0);
  CHECK(profile.operations(Stage::step, OpKind::add).calls == 2 * rounds);
  CHECK(profile.operations(Stage::decoder, OpKind::linear).calls == rounds);
  CHECK(profile.operations(Stage::decoder, OpKind::add).calls == rounds);
  CHECK(profile.spans(Stage::step).size() == 2 * rounds);
}

TEST_CASE("A profile survives what is thrown through it", "[profile]") {
  const auto context = profiled_context();
  try {
    const Profile::Span span(context, Stage::step);
    const Profile::Scope scope(context, OpKind::linear);
    throw std::runtime_error("no");
  } catch (const std::runtime_error&) {
  }
  { const Profile::Scope scope(context, OpKind::linear); }
  CHECK(context.profile->operations(Stage::step, OpKind::linear).calls == 1);
  CHECK(context.profile->operations(Stage::outside, OpKind::linear).calls == 1);
}

TEST_CASE("Operations report themselves to the context's profile, and only there", "[profile]") {
  const auto context = profiled_context();
  auto plain = context;
  plain.profile = nullptr;
  const auto x = test::random_tensor({2, 3, 5}, 1);
  const auto timed = ops::add(context, x, x);
  const auto untimed = ops::add(plain, x, x);
  CHECK(std::equal(timed.span().begin(), timed.span().end(), untimed.span().begin()));
  ops::cast<bfloat16>(context, x);
  ops::cast<float>(context, x);  // nothing to do
  const auto& profile = *context.profile;
  CHECK(profile.operations(Stage::outside, OpKind::add).calls == 1);
  CHECK(profile.operations(Stage::outside, OpKind::cast).calls == 1);
}

TEST_CASE("A profile counts the products of a whole run", "[profile]") {
  const auto engine = GENERATE(from_range(ops::engine_names()));
  INFO(engine);
  const auto pipeline = Pipeline::load(test::golden("pipelines/sd1"),
                                       {.precision = Precision::float32, .engine = engine, .threads = 1});
  const auto profile = std::make_shared<Profile>();
  constexpr int steps = 2;
  constexpr Index batch = 2;  // guided
  pipeline.generate({.prompt = "cat",
                     .size = {.width = 16, .height = 16},
                     .sampling = {.steps = steps, .sampler = "ddim"},
                     .profile = profile});
  CHECK(profile->spans(Stage::text_encoder).size() == 2);  // the prompt and the empty one
  CHECK(profile->spans(Stage::step).size() == steps);
  CHECK(profile->spans(Stage::decoder).size() == 1);
  CHECK(profile->spans(Stage::image_encoder).empty());
  for (const auto kind : ops::op_kinds) CHECK(profile->operations(Stage::outside, kind).calls == 0);

  // The U-Net, by hand: latents of 8 x 8, two levels of 8 and 12 channels, one residual block in each on the
  // way down and two on the way up, 12 channels at 4 x 4 in the middle.
  constexpr Index outer = 8 * 8, inner = 4 * 4;
  constexpr Index convolutions =
      9 * (outer * (4 * 8 + 2 * 8 * 8)                                   // conv_in, down_blocks.0
           + inner * (8 * 8 + (8 * 12 + 12 * 12) + 4 * 12 * 12)          // downsampler, down_blocks.1, middle
           + inner * ((12 + 12) * 12 + (12 + 8) * 12 + 2 * 12 * 12)      // up_blocks.0
           + outer * 12 * 12                                             // its upsampler
           + outer * ((12 + 8) * 8 + (8 + 8) * 8 + 2 * 8 * 8 + 8 * 4));  // up_blocks.1, conv_out
  CHECK(profile->operations(Stage::step, OpKind::conv2d).flops == steps * batch * 2 * convolutions);

  // Self-attention and attention to 77 tokens: three times in the outer level, once in the middle.
  const auto attention = [](Index pixels, Index channels) { return 2 * pixels * (pixels + 77) * channels; };
  const auto attended = profile->operations(Stage::step, OpKind::attention);
  CHECK(attended.calls == steps * 8);
  CHECK(attended.flops == steps * batch * 2 * (3 * attention(outer, 8) + attention(inner, 12)));

  // The text encoder: two layers of width 16 and 32, four products in each.
  const auto projected = profile->operations(Stage::text_encoder, OpKind::linear);
  CHECK(projected.calls == 2 * 2 * 4);
  CHECK(projected.flops == 2 * 2 * 2 * 77 * (16 * 48 + 16 * 16 + 2 * 16 * 32));
  CHECK(profile->operations(Stage::text_encoder, OpKind::layer_norm).calls == 2 * (2 * 2 + 1));
  CHECK(profile->operations(Stage::decoder, OpKind::conv2d).calls > 0);
}
