"""The peer in Python: FastAPI, SQLAlchemy's asyncio with asyncpg, and python-jose. The same routes,
rows and tokens as taskcell; whose row it is, a WHERE decides.

    uvicorn --workers N --loop uvloop --no-access-log fastapi_peer:app    (in PEER_*: see below)
"""

import datetime
import os
import time
import uuid

from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jose import JWTError, jwt
from pydantic import BaseModel, Field
from sqlalchemy import Boolean, Column, DateTime, Integer, String, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import declarative_base, sessionmaker
from sqlalchemy.sql import func

SECRET = os.environ["PEER_SECRET"]
ISSUER = AUDIENCE = "taskcell"
ACCESS_S, REFRESH_S = 900, 14 * 86400

engine = create_async_engine(
    os.environ["PEER_DATABASE"].replace("postgresql:", "postgresql+asyncpg:"),
    pool_size=int(os.environ["PEER_POOL"]), max_overflow=0)
Session = sessionmaker(engine, expire_on_commit=False, class_=AsyncSession)
Base = declarative_base()
app = FastAPI()


class Task(Base):
    __tablename__ = "tasks"
    __table_args__ = {"schema": "taskcell"}
    user_id = Column(UUID(as_uuid=True), primary_key=True)
    id = Column(UUID(as_uuid=True), primary_key=True)
    title = Column(String, nullable=False)
    description = Column(String)
    completed = Column(Boolean, nullable=False)
    completed_at = Column(DateTime(timezone=True))
    priority = Column(Integer, nullable=False)
    due_date = Column(String)
    due_at = Column(DateTime(timezone=True), server_default=text("'infinity'"))
    tags = Column(ARRAY(String), nullable=False)
    version = Column(Integer, nullable=False)
    created_at = Column(DateTime(timezone=True), server_default=func.now())
    updated_at = Column(DateTime(timezone=True), server_default=func.now())
    __mapper_args__ = {"eager_defaults": True}


class Login(Base):
    __tablename__ = "sessions"
    __table_args__ = {"schema": "taskcell"}
    user_id = Column(UUID(as_uuid=True), primary_key=True)
    id = Column(UUID(as_uuid=True), primary_key=True)
    counter = Column(Integer, nullable=False)
    rotated_at = Column(DateTime(timezone=True))
    revoked_at = Column(DateTime(timezone=True))
    expires_at = Column(DateTime(timezone=True))


class TaskOut(BaseModel):
    id: uuid.UUID
    user_id: uuid.UUID
    title: str
    description: str | None
    completed: bool
    completed_at: datetime.datetime | None
    priority: int
    due_date: str | None
    tags: list[str]
    version: int
    created_at: datetime.datetime
    updated_at: datetime.datetime

    class Config:
        orm_mode = True


class TaskIn(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    description: str | None = Field(None, max_length=10000)
    completed: bool = False
    priority: int = Field(0, ge=0, le=3)
    due_date: str | None = None
    tags: list[str] = Field([], max_items=20)


class TaskPatch(BaseModel):
    title: str | None = Field(None, min_length=1, max_length=200)
    description: str | None = Field(None, max_length=10000)
    completed: bool | None = None
    priority: int | None = Field(None, ge=0, le=3)
    due_date: str | None = None
    tags: list[str] | None = Field(None, max_items=20)


class RefreshIn(BaseModel):
    refresh_token: str


def due_at(due_date):
    """The start of the day; a task without one is due at the end of time."""
    if due_date is None:
        return text("'infinity'")
    return datetime.datetime.fromisoformat(due_date).replace(tzinfo=datetime.timezone.utc)


async def database():
    async with Session() as session:
        yield session


def claims_of(token):
    try:
        return jwt.decode(token, SECRET, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER)
    except JWTError as e:
        raise HTTPException(401, "invalid token", {"WWW-Authenticate": "Bearer"}) from e


async def caller(user_id: uuid.UUID,
                 bearer: HTTPAuthorizationCredentials = Depends(HTTPBearer(auto_error=False))):
    if not bearer:
        raise HTTPException(401, "no token", {"WWW-Authenticate": "Bearer"})
    if claims_of(bearer.credentials)["sub"] != str(user_id):
        raise HTTPException(403, "not yours")
    return user_id


@app.get("/api/{user_id}/tasks", response_model=list[TaskOut])
async def tasks(limit: int = 100, user=Depends(caller), db=Depends(database)):
    found = await db.execute(select(Task).where(Task.user_id == user)
                             .order_by(Task.created_at.desc(), Task.id.desc()).limit(limit))
    return found.scalars().all()


@app.get("/api/{user_id}/tasks/{task_id}", response_model=TaskOut)
async def task(task_id: uuid.UUID, user=Depends(caller), db=Depends(database)):
    found = await db.execute(select(Task).where(Task.user_id == user, Task.id == task_id))
    one = found.scalar_one_or_none()
    if one is None:
        raise HTTPException(404, "no such task")
    return one


@app.post("/api/{user_id}/tasks", response_model=TaskOut, status_code=201)
async def create(new: TaskIn, response: Response, user=Depends(caller), db=Depends(database)):
    one = Task(user_id=user, id=uuid.uuid4(), version=1, due_at=due_at(new.due_date), **new.dict())
    if one.completed:
        one.completed_at = datetime.datetime.now(datetime.timezone.utc)
    db.add(one)
    await db.commit()
    response.headers["Location"] = f"/api/{user}/tasks/{one.id}"
    return one


@app.patch("/api/{user_id}/tasks/{task_id}", response_model=TaskOut)
async def patch(task_id: uuid.UUID, change: TaskPatch, user=Depends(caller),
                db=Depends(database)):
    values = change.dict(exclude_unset=True)
    if "completed" in values:
        values["completed_at"] = func.now() if values["completed"] else None
    if "due_date" in values:
        values["due_at"] = due_at(values["due_date"])
    found = await db.execute(
        update(Task).where(Task.user_id == user, Task.id == task_id)
        .values(**values, version=Task.version + 1, updated_at=func.now())
        .returning(*Task.__table__.columns).execution_options(synchronize_session=False))
    one = found.one_or_none()
    if one is None:
        raise HTTPException(404, "no such task")
    await db.commit()
    return TaskOut.from_orm(one)


@app.post("/api/auth/refresh")
async def refresh(body: RefreshIn, db=Depends(database)):
    """The next counter of the session, if this was the current one."""
    c = claims_of(body.refresh_token)
    user, sid, counter = uuid.UUID(c["sub"]), uuid.UUID(c["sid"]), c["n"]
    found = await db.execute(
        update(Login).where(Login.user_id == user, Login.id == sid, Login.counter == counter,
                            Login.revoked_at.is_(None), Login.expires_at > func.now())
        .values(counter=Login.counter + 1, rotated_at=func.now())
        .returning(Login.counter).execution_options(synchronize_session=False))
    row = found.one_or_none()
    if row is None:
        raise HTTPException(401, "used before")
    await db.commit()
    now = int(time.time())
    common = {"sub": c["sub"], "sid": c["sid"], "iss": ISSUER, "aud": AUDIENCE, "iat": now}
    return {
        "access_token": jwt.encode({**common, "exp": now + ACCESS_S}, SECRET),
        "refresh_token": jwt.encode({**common, "n": row.counter, "exp": now + REFRESH_S}, SECRET),
        "token_type": "bearer", "expires_in": ACCESS_S,
    }
