"""Write MediaPipe's own numbers for some pictures, to hold ours against; not part of the tests.

Run it with any Python that has the package `mediapipe` (it wants numpy<2, so give it an environment of its own):

    python tests/faces/mediapipe_reference.py face_landmarker.task reference.json picture.jpg ...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def measure(task: Path, pictures: list[Path]) -> dict[str, dict]:
    """Landmarks in pixels and blendshapes of the one face of each picture, by file name."""
    import cv2
    import mediapipe
    from mediapipe.tasks import python as tasks
    from mediapipe.tasks.python import vision

    options = vision.FaceLandmarkerOptions(
        base_options=tasks.BaseOptions(model_asset_path=str(task)), output_face_blendshapes=True, num_faces=1
    )
    found = {}
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        for path in pictures:
            pixels = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
            height, width = pixels.shape[:2]
            result = landmarker.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels))
            if result.face_landmarks:
                found[path.name] = {
                    "landmarks": [
                        [round(point.x * width, 3), round(point.y * height, 3), round(point.z * width, 3)]
                        for point in result.face_landmarks[0]
                    ],
                    "blendshapes": [round(shape.score, 5) for shape in result.face_blendshapes[0]],
                }
    return found


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(measure(Path(sys.argv[1]), [Path(name) for name in sys.argv[3:]])))
