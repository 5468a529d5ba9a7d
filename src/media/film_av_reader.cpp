#include "media/film_file.hpp"

#if DAGUERRE_HAS_LIBAV

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <vector>

#include "daguerre/core/error.hpp"
#include "media/libav.hpp"
#include "media/picture_file.hpp"

// Films read by libavformat, libavcodec and libswscale. Files are opened here and handed over as streams of
// bytes, so that no name is taken for a protocol's.

namespace daguerre {
namespace {

struct LibavFileClose {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

class LibavReader : public FilmReader::Decoder {
 public:
  LibavReader(const std::filesystem::path& path, std::string_view demuxer, std::string_view format)
      : path_(path), file_(std::fopen(path.string().c_str(), "rb")) {
    if (file_ == nullptr)
      throw FileError(film_name,
                      path.string() + ": cannot be read: " + std::generic_category().message(errno), path);
    info_.format = format;
    if (!is_container_whole(file_.get(), demuxer))
      fail("the film is cut short: it ends before what its container says");
    open(std::string(demuxer));
    open_codec();
    packet_.reset(needed(av_packet_alloc()));
    frame_.reset(needed(av_frame_alloc()));
    describe();
  }

  std::optional<Image> next() override {
    for (;;) {
      const int got = avcodec_receive_frame(codec_context_.get(), frame_.get());
      if (got == AVERROR_EOF) return std::nullopt;
      if (got == 0) {
        ++at_;
        return picture();
      }
      if (got != AVERROR(EAGAIN))
        fail("cannot be decoded behind frame " + std::to_string(at_) + ": " + libav_reason(got));
      feed();
    }
  }

  std::optional<std::int64_t> count_rest() override {
    // Not every packet is a frame that is shown.
    if (!info_.frames) return std::nullopt;
    return std::max<std::int64_t>(0, *info_.frames - at_);
  }

 private:
  [[noreturn]] void fail(const std::string& message) const { throw film_error(path_, message); }

  void open(const std::string& demuxer) {
    AVFormatContext* format = needed(avformat_alloc_context());
    make_quiet(*format);
    auto* buffer = static_cast<unsigned char*>(needed(av_malloc(libav_buffer)));
    stream_.reset(needed(avio_alloc_context(buffer, libav_buffer, 0, file_.get(), &LibavReader::get, nullptr,
                                            &LibavReader::seek)));
    format->pb = stream_.get();
    format->flags |= AVFMT_FLAG_CUSTOM_IO;
    const AVInputFormat* input = av_find_input_format(demuxer.c_str());
    format_.reset(format);
    if (input == nullptr) fail("libavformat has no reader for " + std::string(info_.format));
    format = format_.release();
    const int opened = avformat_open_input(&format, nullptr, input, nullptr);  // frees it where it fails
    format_.reset(opened < 0 ? nullptr : format);
    if (opened < 0)
      fail("cannot be read as a film in " + std::string(info_.format) + ": " + libav_reason(opened));
    LibavQuietOptions probing(format_->nb_streams);
    if (avformat_find_stream_info(format_.get(), probing.data()) < 0)
      fail("cannot be read: nothing is known of its streams");
    track_ = av_find_best_stream(format_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
    if (track_ < 0) fail("there are no pictures in this file");
  }

  void open_codec() {
    const auto& parameters = *format_->streams[track_]->codecpar;
    PictureFile{{}, name_ = path_.string()}.check_size(parameters.width, parameters.height);
    const AVCodec* codec = avcodec_find_decoder(parameters.codec_id);
    if (codec == nullptr)
      fail("libavcodec has no decoder for " + std::string(avcodec_get_name(parameters.codec_id)));
    codec_context_.reset(needed(avcodec_alloc_context3(codec)));
    codec_context_->max_pixels = Image::max_pixels;
    codec_context_->log_level_offset = libav_quiet;
    if (avcodec_parameters_to_context(codec_context_.get(), &parameters) < 0 ||
        avcodec_open2(codec_context_.get(), codec, nullptr) < 0)
      fail("libavcodec cannot decode it");
  }

  void describe() {
    const auto& stream = *format_->streams[track_];
    info_.width = stream.codecpar->width;
    info_.height = stream.codecpar->height;
    const AVRational rate = stream.avg_frame_rate.num > 0 ? stream.avg_frame_rate : stream.r_frame_rate;
    if (rate.num > 0 && rate.den > 0) info_.frame_rate = av_q2d(rate);
    if (stream.nb_frames > 0) info_.frames = stream.nb_frames;
    if (const auto* entry = av_dict_get(format_->metadata, "comment", nullptr, 0)) info_.text = entry->value;
  }

  /// Gives the decoder the film's next packet, or its end.
  void feed() {
    for (;;) {
      const int read = av_read_frame(format_.get(), packet_.get());
      if (read == AVERROR_EOF) {
        avcodec_send_packet(codec_context_.get(), nullptr);
        return;
      }
      if (read < 0) fail("cannot be read behind frame " + std::to_string(at_) + ": " + libav_reason(read));
      const bool is_ours = packet_->stream_index == track_;
      if (is_ours && (packet_->flags & AV_PKT_FLAG_CORRUPT) != 0)
        fail("is damaged behind frame " + std::to_string(at_));
      const int sent = is_ours ? avcodec_send_packet(codec_context_.get(), packet_.get()) : 0;
      av_packet_unref(packet_.get());
      if (sent < 0) fail("cannot be decoded behind frame " + std::to_string(at_) + ": " + libav_reason(sent));
      if (is_ours) return;
    }
  }

  Image picture() {
    if (frame_->width != info_.width || frame_->height != info_.height)
      fail("changes its size behind frame " + std::to_string(at_ - 1));
    const auto format = static_cast<AVPixelFormat>(frame_->format);
    scaler_.reset(sws_getCachedContext(
        scaler_.release(), frame_->width, frame_->height, format, frame_->width, frame_->height,
        AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, nullptr, nullptr, nullptr));
    if (scaler_ == nullptr) fail("libswscale cannot convert its pixels");
    // Where the film does not say, small pictures are BT.601's and large ones BT.709's, as players have it.
    const int space = frame_->colorspace != AVCOL_SPC_UNSPECIFIED ? frame_->colorspace
                      : frame_->height >= 720                     ? AVCOL_SPC_BT709
                                                                  : AVCOL_SPC_SMPTE170M;
    const int* coefficients = sws_getCoefficients(space);
    sws_setColorspaceDetails(scaler_.get(), coefficients, frame_->color_range == AVCOL_RANGE_JPEG ? 1 : 0,
                             coefficients, 1, 0, 1 << 16, 1 << 16);
    Image image(frame_->width, frame_->height, 3);
    // It writes some bytes behind rows whose length it does not like.
    const int stride = (frame_->width * 3 + 63) / 64 * 64;
    row_buffer_.resize(static_cast<std::size_t>(stride) * static_cast<std::size_t>(frame_->height) + 64);
    std::uint8_t* const out[4] = {row_buffer_.data(), nullptr, nullptr, nullptr};
    const int strides[4] = {stride, 0, 0, 0};
    sws_scale(scaler_.get(), frame_->data, frame_->linesize, 0, frame_->height, out, strides);
    for (Index y = 0; y < image.height(); ++y)
      std::copy_n(row_buffer_.data() + y * stride, image.width() * 3,
                  image.pixels().data() + y * image.width() * 3);
    av_frame_unref(frame_.get());
    return image;
  }

  static int get(void* file, std::uint8_t* room, int count) {
    auto* const from = static_cast<std::FILE*>(file);
    const auto got = std::fread(room, 1, static_cast<std::size_t>(count), from);
    if (got == 0) return std::ferror(from) != 0 ? AVERROR(EIO) : AVERROR_EOF;
    return static_cast<int>(got);
  }
  static std::int64_t seek(void* stream, std::int64_t offset, int whence) {
    auto* file = static_cast<std::FILE*>(stream);
    const long before = std::ftell(file);
    if (std::fseek(file, static_cast<long>(offset),
                   whence == AVSEEK_SIZE ? SEEK_END : whence & ~AVSEEK_FORCE) != 0)
      return AVERROR(EINVAL);
    const long at = std::ftell(file);
    if (whence == AVSEEK_SIZE) std::fseek(file, before, SEEK_SET);
    return at;
  }

  std::filesystem::path path_;
  std::string name_;
  std::unique_ptr<std::FILE, LibavFileClose> file_;
  Libav<AVIOContext> stream_;
  Libav<AVFormatContext> format_;
  Libav<AVCodecContext> codec_context_;
  Libav<AVPacket> packet_;
  Libav<AVFrame> frame_;
  Libav<SwsContext> scaler_;
  std::vector<std::uint8_t> row_buffer_;
  int track_ = -1;
  std::int64_t at_ = 0;
};

}  // namespace

FilmDecoder read_with_libav(const std::filesystem::path& path, std::string_view demuxer,
                            std::string_view format) {
  return std::make_unique<LibavReader>(path, demuxer, format);
}

}  // namespace daguerre

#endif
