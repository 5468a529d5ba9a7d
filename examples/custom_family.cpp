// A family of models of one's own: a row, a denoiser class and a guider, run through the facade. The denoiser
// is exact where others have a network: it knows that every picture is a disc of one colour on white, and a
// class is a colour.
//
//     custom_family [PICTURE.png]
//
// Exits with 1 when the pictures are not those discs.

#include <array>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>

#include <daguerre/daguerre.hpp>
#include <daguerre/pipeline/component_registry.hpp>
#include <daguerre/pipeline/family.hpp>
#include <daguerre/pipeline/model.hpp>

namespace {

using daguerre::Index;
using daguerre::Tensor;

constexpr std::array<std::array<float, 3>, 3> colours{
    {{0.8f, -0.8f, -0.8f}, {-0.8f, 0.6f, -0.6f}, {-0.6f, -0.4f, 0.9f}}};

/// The disc of colour `label`, `[H, W, 3]` in [-1, 1]; the label behind the last stands for none of them:
/// grey.
float disc(Index row, Index column, Index side, std::int32_t label, std::size_t channel) {
  const double x = (static_cast<double>(column) + 0.5) / static_cast<double>(side) - 0.5;
  const double y = (static_cast<double>(row) + 0.5) / static_cast<double>(side) - 0.5;
  if (x * x + y * y > 0.16) return 1.0f;
  const auto index = static_cast<std::size_t>(label);
  return index < colours.size() ? colours[index][channel] : 0.0f;
}

/// Predicts x_0, whatever the noise.
class DiscDenoiser final : public daguerre::Denoiser {
 public:
  explicit DiscDenoiser(daguerre::DenoiserInfo info) : info_(std::move(info)) {}
  const daguerre::DenoiserInfo& info() const noexcept override { return info_; }
  Tensor<float> operator()(const daguerre::ops::Context&, const Tensor<float>& x, float,
                           const daguerre::Conditioning& conditioning) const override {
    Tensor<float> result(x.shape());
    const Index side = x.dim(1);
    for (Index n = 0; n < x.dim(0); ++n)
      for (Index i = 0; i < side * x.dim(2) * 3; ++i)
        result.data()[n * side * x.dim(2) * 3 + i] =
            disc(i / (3 * x.dim(2)), i / 3 % x.dim(2), side, conditioning.labels[static_cast<std::size_t>(n)],
                 static_cast<std::size_t>(i % 3));
    return result;
  }

 private:
  daguerre::DenoiserInfo info_;
};

/// The class behind model_index.json's "DiscModel": reads its configuration, has no weights.
daguerre::Opened<daguerre::Denoiser> open_disc_model(const daguerre::ComponentSource& source,
                                                     const daguerre::LoadContext&) {
  const auto config = source.config();
  const int side = config.require_int("sample_size");
  config.finish();
  const daguerre::DenoiserInfo info{.in_channels = 3,
                                    .out_channels = 3,
                                    .sample_height = side,
                                    .sample_width = side,
                                    .classes = static_cast<int>(colours.size()),
                                    .null_class = static_cast<std::int32_t>(colours.size()),
                                    .config = source.config_path()};
  return {info, [info](const daguerre::LoadContext&) { return std::make_shared<const DiscDenoiser>(info); }};
}

/// Classifier-free guidance in the second half of the run only.
class LateGuidance final : public daguerre::Guider {
 public:
  explicit LateGuidance(daguerre::Guidance guidance) : guidance_(guidance) {}
  bool needs_negative() const noexcept override { return true; }
  std::unique_ptr<daguerre::GuiderRun> start(const daguerre::Conditions& conditions) const override {
    class Run final : public daguerre::GuiderRun {
     public:
      Run(std::unique_ptr<daguerre::GuiderRun> early, std::unique_ptr<daguerre::GuiderRun> late)
          : early_(std::move(early)), late_(std::move(late)) {}
      Tensor<float> operator()(const daguerre::Predict& predict, const Tensor<float>& x,
                               const daguerre::GuidedCall& call) override {
        return (2 * call.index < call.total ? *early_ : *late_)(predict, x, call);
      }

     private:
      std::unique_ptr<daguerre::GuiderRun> early_, late_;
    };
    return std::make_unique<Run>(daguerre::NoGuidance().start(conditions),
                                 daguerre::ClassifierFreeGuidance(guidance_).start(conditions));
  }

 private:
  daguerre::Guidance guidance_;
};

/// The row.
daguerre::Family disc_family() {
  daguerre::Family family;
  family.name = "disc";
  family.title = "Disc";
  family.classes = {{"DiscPipeline"}};
  family.parts = {{daguerre::Part::Kind::denoiser, "painter", {"DiscModel"}}};
  family.tasks = {.classes = true};
  family.defaults = {.steps = 6, .guidance_scale = 1.2f};
  family.condition = [](const daguerre::ops::Context&, const daguerre::Components& components,
                        const daguerre::Task&, const daguerre::Prompt& prompt, daguerre::Side side) {
    daguerre::Conditioning result;
    result.labels = {side == daguerre::Side::positive ? prompt.label.value_or(0)
                                                      : *components.denoiser->info().null_class};
    return result;
  };
  family.guider = [](const daguerre::Guidance& guidance, const daguerre::DenoiserInfo&) {
    return std::make_shared<const LateGuidance>(guidance);
  };
  return family;
}

/// What stands for a model folder.
daguerre::ModelSource disc_model() {
  using daguerre::Config;
  const daguerre::ModelSource empty(
      "disc",
      Config::parse(R"({"_class_name": "DiscPipeline", "id2label": {"0": "red", "1": "green", "2": "blue"}})",
                    "disc/model_index.json"));
  return empty
      .with({.name = "painter",
             .library = "diffusers",
             .class_name = "DiscModel",
             .given_config = Config::parse(R"({"sample_size": 48})", "disc/painter/config.json")})
      .with({.name = "scheduler",
             .library = "diffusers",
             .class_name = "DDIMScheduler",
             .given_config = Config::parse(R"({"prediction_type": "sample", "clip_sample": false})",
                                           "disc/scheduler/scheduler_config.json")});
}

}  // namespace

int main(int argc, char** argv) {
  try {
    auto families = daguerre::FamilyRegistry::standard();
    families.add(disc_family());
    auto components = daguerre::ComponentRegistry::standard();
    components.add_denoiser("DiscModel", open_disc_model);
    const auto pipe = daguerre::Pipeline::load(
        disc_model(), {.families = std::make_shared<const daguerre::FamilyRegistry>(families),
                       .components = std::make_shared<const daguerre::ComponentRegistry>(components)});
    const auto made =
        pipe.generate({.class_name = "blue", .sampling = {.seed = 3}, .output = {.decoded = true}});
    made.save_png(argc > 1 ? argv[1] : "custom_family.png");
    // Guidance went past the colour, away from grey: 0 + 1.2 * (colour - 0).
    const auto& middle = made.decoded;
    const Index centre = (24 * 48 + 24) * 3;
    bool good = made.images[0].width() == 48;
    for (std::size_t c = 0; c < 3; ++c) {
      const float value = middle.data()[centre + static_cast<Index>(c)], wanted = 1.2f * colours[2][c];
      std::printf("channel %zu: %.3f, expected %.3f\n", c, static_cast<double>(value),
                  static_cast<double>(wanted));
      good = good && std::abs(value - wanted) < 0.01f;
    }
    return good ? 0 : 1;
  } catch (const daguerre::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
