#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/nn/loader.hpp"
#include "daguerre/pipeline/precision.hpp"
#include "support/golden.hpp"

/// Runs a recorded case: builds what its configuration names and compares what comes out with what the
/// reference gave. Nothing here knows a particular case; see tests/data/golden/README.md for the layout.
namespace daguerre::conformance {

struct Options {
  std::string engine = "auto";
  Precision precision = Precision::float32;
  int threads = 2;

  /// With the engine that the networks are to be packed by.
  ops::Context context() const;
  /// Calls run<T>() for what the networks multiply.
  template <class Run>
  auto with_type(const Run& run) const {
    return precision == Precision::float32 ? run.template operator()<float>()
                                           : run.template operator()<bfloat16>();
  }
};

/// One compared quantity.
struct Check {
  std::string name;
  test::Difference difference;
  double bound = 0.0;

  bool passes() const { return difference.rel_l2 <= bound; }
};

struct Result {
  std::string name;                        ///< "area/case"
  std::optional<std::string> unsupported;  ///< why the case cannot be run
  std::vector<Check> checks;

  bool passes() const;
  /// The check that comes nearest to its bound, or exceeds it most. There must be one.
  const Check& worst() const;
};

/// Largest relative L2 against the reference in float32, by kind; in bfloat16 and in 8 bits networks have one
/// bound each.
namespace bounds {
inline constexpr double block = 1e-6;
inline constexpr double text_encoder = 1e-6;
inline constexpr double autoencoder = 5e-6;
inline constexpr double network = 2e-5;
inline constexpr double lpips = 1e-6;
/// The reference's own features in float32 are up to 1.2e-6 away from those in float64 (VGG's last), and so
/// may ours be, in another direction.
inline constexpr double lpips_features = 2.5e-6;
inline constexpr double bfloat16_network = 2e-2;
// Networks of four to eight channels at the published depth. Rounding their weights to bfloat16 and nothing
// else puts the U-Nets at up to 2.3e-2, above what holds for others.
inline constexpr double bfloat16_narrow_network = 5e-2;
// Rounding is off by scale / sqrt(12): 0.8 % of a weight's size where the greatest of a channel is 3.5 times
// the typical one, 0.5 % of an activation's where the range is 4.5 times it: one layer is off by 1e-2. That
// adds up to at most 5e-2 in the recorded networks.
// Where activations have half the levels, an activation's error, the larger part here, is twice that.
double int8_network() noexcept;
inline constexpr double random = 1e-6;
/// Metrics are in double.
inline constexpr double metric = 1e-10;
/// Differences of means over pairs, of which up to three digits cancel.
inline constexpr double kernel_distance = 1e-9;
/// Relative to the sum of the distance's positive terms. scipy's sqrtm and the eigenvalues of a product take
/// roots of rounded zeros when a covariance is (nearly) singular, each wrong by up to the root of double's
/// epsilon, 1.5e-8: the recorded results are 8e-9 from the singular values of the features themselves, ours
/// 1e-15.
inline constexpr double frechet_distance = 5e-8;
/// The recorded scores were computed from probabilities rounded to float32; from logits we round nothing.
inline constexpr double score_of_logits = 1e-6;
}  // namespace bounds

/// A recorded run: the tensors of an `io*.safetensors`, with 4-D ones channels last.
class Recorded {
 public:
  explicit Recorded(const std::filesystem::path& file);
  bool has(const std::string& name) const { return file_.contains(name); }
  /// The tensor as float32, [N, C, H, W] brought to [N, H, W, C].
  Tensor<float> tensor(const std::string& name) const { return test::channels_last(file_, name); }
  /// The same converted to T.
  template <class T>
  Tensor<T> tensor_as(const std::string& name) const {
    return tensor(name).to<T>();
  }
  const weights::SafetensorsFile& file() const noexcept { return file_; }
  /// "" for io.safetensors, ":odd_size" for io_odd_size.safetensors.
  const std::string& label() const noexcept { return label_; }
  /// Names that begin with `prefix`, without it, sorted.
  std::vector<std::string> names_below(const std::string& prefix) const;

 private:
  weights::SafetensorsFile file_;
  std::string label_;
};
std::vector<Recorded> recorded_runs(const std::filesystem::path& case_folder);

/// Weights and engine for the network of a case.
nn::Loader loader_for(const std::filesystem::path& weights, const ops::Context& context);

/// All cases found in `folder` or below it, each run. A folder is a case when it holds a config.json beside
/// an io*.safetensors, a cases.json, a model_index.json beside runs/ (one result for each run), or pictures.
std::vector<Result> run_below(const std::filesystem::path& folder, const Options& options);

// What `run_below` picks from. Each returns nothing when the class is not its own.
std::optional<Result> run_block(const std::filesystem::path& folder, const Config& config,
                                const Options& options);
std::optional<Result> run_named_block(const std::filesystem::path& folder, const Config& config,
                                      const Options& options);
std::optional<Result> run_motion_model(const std::filesystem::path& folder, const Config& config,
                                       const Options& options);
std::optional<Result> run_model(const std::filesystem::path& folder, const Config& config,
                                const Options& options);
std::optional<Result> run_film_autoencoder(const std::filesystem::path& folder, const Config& config,
                                           const Options& options);
std::optional<Result> run_cogvideox_model(const std::filesystem::path& folder, const Config& config,
                                          const Options& options);
std::optional<Result> run_clip_model(const std::filesystem::path& folder, const Config& config,
                                     const Options& options);
std::optional<Result> run_lpips_model(const std::filesystem::path& folder, const Config& config,
                                      const Options& options);
std::optional<Result> run_inception_model(const std::filesystem::path& folder, const Config& config,
                                          const Options& options);
std::optional<Result> run_film_unet(const std::filesystem::path& folder, const Config& config,
                                    const Options& options);
std::optional<Result> run_random(const std::filesystem::path& folder, const Config& config);
std::optional<Result> run_metric(const std::filesystem::path& folder, const Config& config,
                                 const Options& options);
std::optional<Result> run_sampler(const std::filesystem::path& folder, const Config& config);
std::optional<Result> run_image_processor(const std::filesystem::path& folder, const Config& config);
std::optional<Result> run_pictures(const std::filesystem::path& folder);
/// Of sampled generation; the folder holds case.json.
std::optional<Result> run_token_sampling(const std::filesystem::path& folder, const Config& config,
                                         const Options& options);
/// Of a folder with chat templates beside its cases.json.
std::optional<Result> run_chat_templates(const std::filesystem::path& folder);
Result run_tokenizer(const std::filesystem::path& folder);
/// Whether a folder has recorded texts of a language model's tokenizer; and the comparison.
bool is_language_tokenizer_case(const std::filesystem::path& folder);
Result run_language_tokenizer(const std::filesystem::path& folder);
Result run_single_file(const std::filesystem::path& folder, const Options& options);
Result run_gguf_model(const std::filesystem::path& folder, const Options& options);
/// What is to be run of a case of GGUF files or ggml's blocks: what to put behind the case's name, and how.
std::vector<std::pair<std::string, std::function<Result()>>> gguf_runs(const std::filesystem::path& folder,
                                                                       const Options& options);
/// Whether a folder has recorded texts in a prompt language, or text encoders with their results; and the
/// runs.
bool is_prompt_case(const std::filesystem::path& folder);
std::vector<std::pair<std::string, std::function<Result()>>> prompt_runs(const std::filesystem::path& folder,
                                                                         const Options& options);
/// The same of a model with adapter files, each of which is a case.
std::vector<std::pair<std::string, std::function<Result()>>> lora_runs(const std::filesystem::path& folder,
                                                                       const Options& options);
std::vector<Result> run_pipeline(const std::filesystem::path& folder, const Options& options);

}  // namespace daguerre::conformance
