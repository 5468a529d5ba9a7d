#include <array>

#include "conformance/case.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "daguerre/pipeline/component_registry.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;

namespace {

ComponentSource source_of(const std::string& name) {
  const auto folder = test::golden("dit/" + name);
  const auto config = Config::load(folder / "config.json");
  ComponentSource source;
  source.name = "transformer";
  source.library = "diffusers";
  source.class_name = config.class_name();
  source.folder = folder;
  source.given_config = config;
  source.given_weights = weights::StateDict::load(folder / "weights.safetensors");
  return source;
}

conformance::Recorded recorded(const std::string& name) {
  return std::move(conformance::recorded_runs(test::golden("dit/" + name)).front());
}

struct Parts {
  ops::Context context = test::context_for("native");
  LoadContext load{.compute = context, .precision = Precision::float32};
  Opened<Denoiser> opened;
  explicit Parts(const ComponentSource& source)
      : opened(ComponentRegistry::standard().open_denoiser(source, load)) {}
};

}  // namespace

TEST_CASE("a FLUX denoiser packs latents and reads time and guidance as the pipeline has them",
          "[pipeline][flux]") {
  const auto run = recorded("flux_dev");
  const Parts parts(source_of("flux_dev"));
  const auto& info = parts.opened.info;
  CHECK(info.in_channels == 4);
  CHECK(info.side_multiple == 2);
  CHECK(info.embeds_guidance);
  CHECK(info.reads_pooled);
  // The recorded tokens are the patches of a picture of 4 x 6.
  const auto unpacked = [&](const Tensor<float>& tokens) {
    return ops::unpatchify(parts.context, tokens, 4, 6, 2, ops::PatchOrder::channels_rows_columns);
  };
  Conditioning conditioning;
  conditioning.context = run.tensor("in.encoder_hidden_states");
  conditioning.pooled = run.tensor("in.pooled_projections");
  conditioning.extras.emplace("guidance", run.tensor("in.guidance"));
  const float timestep = run.tensor("in.timestep").data()[0] * 1000.0f;
  const auto denoiser = parts.opened.load(parts.load);
  const auto x = unpacked(run.tensor("in.hidden_states"));
  const auto made = (*denoiser)(parts.context, x, timestep, conditioning);
  CHECK(test::difference(made, unpacked(run.tensor("out.sample"))).rel_l2 < conformance::bounds::network);

  // Half of the channels given as those that join: the same.
  auto joined = conditioning;
  joined.concat = ops::narrow(parts.context, x, -1, 1, 3);
  const auto from_parts =
      (*denoiser)(parts.context, ops::narrow(parts.context, x, -1, 0, 1), timestep, joined);
  CHECK(test::difference(from_parts, made).rel_l2 == 0.0);

  // A picture to look at changes the prediction, and not its size.
  conditioning.extras.emplace("reference_latents", test::random_tensor({1, 4, 6, 4}, 3));
  const auto referred = (*denoiser)(parts.context, x, timestep, conditioning);
  CHECK(referred.shape() == made.shape());
  CHECK(test::difference(referred, made).rel_l2 > 1e-3);
}

TEST_CASE("a denoiser of SD3 reads prompt and vector", "[pipeline][sd3]") {
  const auto run = recorded("sd3");
  const Parts parts(source_of("sd3"));
  CHECK(parts.opened.info.context_width == 24);
  CHECK(parts.opened.info.reads_pooled);
  Conditioning conditioning;
  conditioning.context = run.tensor("in.encoder_hidden_states");
  conditioning.pooled = run.tensor("in.pooled_projections");
  const auto made = (*parts.opened.load(parts.load))(parts.context, run.tensor("in.hidden_states"),
                                                     run.tensor("in.timestep").data()[0], conditioning);
  CHECK(test::difference(made, run.tensor("out.sample")).rel_l2 < conformance::bounds::network);
}

TEST_CASE("a denoiser of PixArt reads sizes and drops the variance, also under its older name",
          "[pipeline][pixart]") {
  const auto run = recorded("pixart_alpha_size_cond");
  auto source = source_of("pixart_alpha_size_cond");
  if (GENERATE(false, true)) {
    source.class_name = "Transformer2DModel";
    source.given_config = source.given_config->with(R"({"_class_name": "Transformer2DModel"})");
  }
  const Parts parts(source);
  CHECK(parts.opened.info.out_channels == 4);
  CHECK(parts.opened.info.extras == std::vector<std::string>{"resolution", "aspect_ratio"});
  Conditioning conditioning;
  conditioning.context = run.tensor("in.encoder_hidden_states");
  conditioning.extras.emplace("resolution", run.tensor("in.added.resolution"));
  conditioning.extras.emplace("aspect_ratio", run.tensor("in.added.aspect_ratio"));
  const auto made = (*parts.opened.load(parts.load))(parts.context, run.tensor("in.hidden_states"),
                                                     run.tensor("in.timestep").data()[0], conditioning);
  const auto expected = ops::narrow(parts.context, run.tensor("out.sample"), -1, 0, 4);
  CHECK(test::difference(made, expected).rel_l2 < conformance::bounds::network);
}
